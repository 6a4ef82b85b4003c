import type { Connection } from "@platformatic/kafka";
import type { ProvisionRequest } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { pause } from "../../mesh/pause.ts";
import type { AdminSession } from "./admin.ts";
import { writeLimits } from "./limits.ts";
import { prefixOf } from "./names.ts";
import { checkAgainstExisting, type ProvisionPlan, toPlan, toRates } from "./provision-plan.ts";
import { grant, revokeAll, revokeProject } from "./rights.ts";
import {
  configureTopics,
  createTopic,
  deleteTopics,
  growTopic,
  listTopics,
  toDefaultPlan,
} from "./topics.ts";
import { dropUser, listUsers, putUser, setQuotas, untilUsersAre } from "./users.ts";

const SETTLE_MS = 500;

/**
 * Makes a project's space as the request describes it, whatever is there already, and returns the users that it could not
 * make because the request has no secret for them. First of all it takes away the access of users that the request does
 * not name. Throws FIELD_INVALID as `toPlan` and `checkAgainstExisting` say.
 */
export async function provision(
  { connection, signal }: AdminSession,
  request: ProvisionRequest,
): Promise<string[]> {
  const plan = toPlan(request);
  const { projectId } = request;
  const present = await findUsers(connection, request);
  const wanted = request.credentials.map(({ username }) => username);
  signal.throwIfAborted();
  await removeUsers(
    connection,
    present.filter((username) => !wanted.includes(username)),
  );
  if (wanted.length === 0) await revokeProject(connection, projectId);
  signal.throwIfAborted();
  await arrangeTopics(connection, projectId, plan);
  await writeLimits(connection, projectId, plan.limits);
  const missing: string[] = [];
  for (const { username, scram } of request.credentials) {
    if (scram === undefined && !present.includes(username)) {
      missing.push(username);
      continue;
    }
    // Another call may have taken the access away meanwhile.
    signal.throwIfAborted();
    // A user has its rights and quotas before it can log in.
    await grant(connection, projectId, username, { isReadOnly: request.isReadOnly });
    await setQuotas(connection, [username], toRates(request));
    signal.throwIfAborted();
    if (scram !== undefined) await putUser(connection, username, scram);
  }
  const made = wanted.filter((username) => !missing.includes(username));
  await untilUsersAre(connection, projectId, made);
  return missing;
}

/** Returns the users that there are. */
async function findUsers(connection: Connection, { projectId, credentials }: ProvisionRequest) {
  const present = await listUsers(connection, projectId);
  const isMissing = credentials.some(({ username, scram }) => !scram && !present.includes(username));
  if (!isMissing) return present;
  // Another broker may know of a user already whom another service has just made.
  await pause(SETTLE_MS);
  return listUsers(connection, projectId);
}

/** Removes users. Their open connections can do nothing from the first step on. It can be repeated. */
export async function removeUsers(connection: Connection, usernames: readonly string[]): Promise<void> {
  await revokeAll(connection, usernames);
  await setQuotas(connection, usernames, undefined);
  // The user comes last, because a repeated call finds by it what is still to be done.
  for (const username of usernames) await dropUser(connection, username);
}

async function arrangeTopics(
  connection: Connection,
  projectId: string,
  { limits, topics, deletedTopics }: ProvisionPlan,
): Promise<void> {
  const all = await listTopics(connection, prefixOf(projectId));
  const kept = new Map([...all].filter(([topic]) => !deletedTopics.includes(topic)));
  checkAgainstExisting({ limits, topics, deletedTopics }, projectId, kept);
  await deleteTopics(connection, deletedTopics);
  for (const plan of topics) {
    const partitions = kept.get(plan.topic);
    if (partitions === undefined) await createTopic(connection, plan, limits);
    else if (partitions < plan.partitions) await growTopic(connection, plan);
  }
  // Topics that deliveries have made follow the limits, too.
  const planned = new Map(topics.map((plan) => [plan.topic, plan]));
  const plans = [...kept.keys()].map((topic) => planned.get(topic) ?? toDefaultPlan(topic, limits));
  await configureTopics(connection, plans, limits);
}
