import {
  alterClientQuotasV1,
  alterUserScramCredentialsV0,
  type Connection,
  describeUserScramCredentialsV0,
  ScramMechanisms,
} from "@platformatic/kafka";
import type { ScramSecret } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { pause } from "../../mesh/pause.ts";
import { isOnly } from "./admin-errors.ts";
import { isUserOf } from "./names.ts";

const mechanism = ScramMechanisms.SCRAM_SHA_512;

/** Returns the names of a project's users. */
export async function listUsers(connection: Connection, projectId: string): Promise<string[]> {
  // An empty list means all users. Kafka refuses a list in which one does not exist.
  const { results } = await describeUserScramCredentialsV0.api.async(connection, []);
  return results.map(({ user }) => user).filter((user) => isUserOf(projectId, user));
}

const POLL_MS = 50;
const SETTLED_WITHIN_MS = 5_000;

/**
 * Waits until the broker tells of exactly these users of a project: what was written is seen only a moment later, and a
 * call that comes meanwhile would act on what was before. Throws SERVICE_UNAVAILABLE after 5 s.
 */
export async function untilUsersAre(
  connection: Connection,
  projectId: string,
  usernames: readonly string[],
): Promise<void> {
  const untilMs = performance.now() + SETTLED_WITHIN_MS;
  const wanted = JSON.stringify([...usernames].sort());
  while (JSON.stringify((await listUsers(connection, projectId)).sort()) !== wanted) {
    if (performance.now() > untilMs) throw failure("SERVICE_UNAVAILABLE", { service: "managed Kafka" });
    await pause(POLL_MS);
  }
}

/** Creates a user, or gives it another password. */
export async function putUser(connection: Connection, name: string, secret: ScramSecret): Promise<void> {
  const { iterations } = secret;
  const salt = Buffer.from(secret.salt);
  const saltedPassword = Buffer.from(secret.saltedPassword);
  const user = { name, mechanism, iterations, salt, saltedPassword };
  await alterUserScramCredentialsV0.api.async(connection, [], [user]);
}

/** Removes a user. It can be repeated. A connection that is open stays, so take the user's rights away first. */
export async function dropUser(connection: Connection, name: string): Promise<void> {
  const dropping = alterUserScramCredentialsV0.api.async(connection, [{ name, mechanism }], []);
  await dropping.catch((error: unknown) => {
    if (!isOnly(error, "RESOURCE_NOT_FOUND")) throw error;
  });
}

/** How fast a user may write and read, in bytes a second on each broker. */
export interface UserQuota {
  readonly produceBytes: number;
  readonly consumeBytes: number;
}

/** Sets or, if `quota` is undefined, removes the quotas of users. Kafka slows down a user who is faster. */
export async function setQuotas(
  connection: Connection,
  names: readonly string[],
  quota: UserQuota | undefined,
): Promise<void> {
  if (names.length === 0) return;
  const keys = { producer_byte_rate: quota?.produceBytes, consumer_byte_rate: quota?.consumeBytes };
  const ops = (["producer_byte_rate", "consumer_byte_rate"] as const).map((key) => {
    const value = keys[key];
    return value === undefined ? { key, remove: true as const } : { key, value, remove: false as const };
  });
  const entries = names.map((entityName) => ({
    entities: [{ entityType: "user" as const, entityName }],
    ops,
  }));
  await alterClientQuotasV1.api.async(connection, entries, false);
}
