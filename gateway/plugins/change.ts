import type { PluginCredentials, PluginLimits, PluginTopic } from "../../gen/easycron/v1/plugin_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { endFailed, isPassing, toCallError } from "./failing.ts";
import { type KindName, toWord } from "./kinds.ts";
import { type Lease, takeLease, writeUnder } from "./lease.ts";
import { readLimits, resolveLimits, toLimitsText } from "./limits.ts";
import { readOffer } from "./offers.ts";
import { type PluginParts, sqlNow } from "./parts.ts";
import { makeCredential, type NewCredential, toUrl } from "./password.ts";
import {
  type PluginRow,
  pluginBeginAgain,
  pluginBeginEnable,
  pluginBeginRotate,
  pluginBeginUpdate,
  pluginByKind,
  pluginInsertIfAbsent,
  pluginRelease,
} from "./plugins.sql.ts";
import { finishProvision, provision } from "./provision.ts";
import { changeTopics, readTopics, type TopicChange, toTopicsText } from "./topics.ts";

/** Which plugin of which project a call is about. */
export interface PluginName {
  readonly projectId: string;
  readonly kind: KindName;
}

/**
 * How many credentials of a plugin are valid at a time: those in use, those of a call whose answer was lost, and those of
 * the call that was made again.
 */
const MAX_VALID = 3;

/** New credentials, without when the old ones end. */
export type MadeCredentials = Pick<PluginCredentials, "username" | "password" | "url">;

/**
 * Enables a plugin: the row first, then the broker, then the row again. Returns the row, and credentials unless it was
 * ENABLED already. A password is made anew for each try, so what a broken try left is replaced. Throws FIELD_INVALID,
 * PLUGIN_NOT_AVAILABLE, and SERVICE_UNAVAILABLE if the broker or plugin delivery does not answer; then the plugin stays
 * PROVISIONING, and the loop goes on without credentials.
 */
export async function enablePlugin(
  parts: PluginParts,
  name: PluginName,
  wanted: { readonly limits: PluginLimits | undefined; readonly topics: readonly PluginTopic[] },
  options: CallOptions,
): Promise<{ row: PluginRow; credentials?: MadeCredentials }> {
  const { projectId, kind } = name;
  const offer = await readOffer(parts, kind, options);
  const limits = resolveLimits(kind, wanted.limits, offer);
  const asked = { topics: wanted.topics, deleteTopics: [] };
  const first = toTopicsText(changeTopics(kind, [], asked, limits));
  const inserted = [projectId, kind, toLimitsText(limits), first, offer.endpoint, sqlNow(parts)];
  await parts.database.query(pluginInsertIfAbsent, inserted);
  return await underLease(parts, name, options, async (lease) => {
    if (lease.row.state === "ENABLED") return { row: await release(parts, lease) };
    if (lease.row.is_usable) return { row: await setUpAgain(parts, lease) };
    // A plugin that comes back has its topics. Those of a try that failed may be why it failed.
    const before = lease.row.state === "DISABLED" ? readTopics(lease.row.topics) : [];
    const topics = changeTopics(kind, before, asked, limits);
    const values = [toLimitsText(limits), toTopicsText(topics), offer.endpoint, sqlNow(parts)];
    const fresh = await begin(lease, () => writeUnder(parts.database, lease, pluginBeginEnable, values));
    await parts.onStep("enable: row written", lease.projectId);
    // Nobody has the credentials of a try that did not end, or of a plugin that was disabled.
    const change = { fresh, keep: 0 };
    const provisioned = await provision(parts, lease, change);
    await parts.onStep("enable: provisioned", lease.projectId);
    const row = await finishProvision(parts, lease, provisioned, change, offer.endpoint);
    await parts.onStep("enable: finished", lease.projectId);
    return { row, credentials: toMade(kind, fresh, offer) };
  });
}

/** Finishes a change of a plugin that customers use, or takes its disabling back. Its credentials stay. */
async function setUpAgain(parts: PluginParts, lease: Lease): Promise<PluginRow> {
  lease.row = await writeUnder(parts.database, lease, pluginBeginAgain, [sqlNow(parts)]);
  lease.hasBegun = true;
  return await finishProvision(parts, lease, await provision(parts, lease));
}

/**
 * Makes new credentials. Those before stay valid for `overlapMs`, and of two the older ends at once. If a step fails, the
 * loop goes on with the credentials before, which then do not end. Throws PLUGIN_NOT_ENABLED, PLUGIN_NOT_AVAILABLE,
 * SERVICE_UNAVAILABLE.
 */
export async function rotateCredentials(
  parts: PluginParts,
  name: PluginName,
  overlapMs: number,
  options: CallOptions,
): Promise<{ row: PluginRow; credentials: MadeCredentials }> {
  const offer = await readOffer(parts, name.kind, options);
  await requireRow(parts, name);
  return await underLease(parts, name, options, async (lease) => {
    requireUsable(lease.row);
    const fresh = await begin(lease, () =>
      writeUnder(parts.database, lease, pluginBeginRotate, [sqlNow(parts)]),
    );
    await parts.onStep("rotate: row written", lease.projectId);
    const change = { fresh, keep: overlapMs === 0 ? 0 : MAX_VALID - 1, expireMs: overlapMs };
    const provisioned = await provision(parts, lease, change);
    await parts.onStep("rotate: provisioned", lease.projectId);
    const row = await finishProvision(parts, lease, provisioned, change, offer.endpoint);
    await parts.onStep("rotate: finished", lease.projectId);
    return { row, credentials: toMade(name.kind, fresh, offer) };
  });
}

/**
 * Changes limits and topics. If plugin delivery refuses the change, the row says again what it said before. Throws
 * FIELD_INVALID, PLUGIN_NOT_ENABLED, PLUGIN_NOT_AVAILABLE, and SERVICE_UNAVAILABLE, after which the loop goes on.
 */
export async function updatePlugin(
  parts: PluginParts,
  name: PluginName,
  change: TopicChange & { readonly limits: PluginLimits | undefined },
  options: CallOptions,
): Promise<{ row: PluginRow }> {
  const { kind } = name;
  const offer = await readOffer(parts, kind, options);
  await requireRow(parts, name);
  return await underLease(parts, name, options, async (lease) => {
    const before = lease.row;
    requireUsable(before);
    const limits =
      change.limits === undefined ? readLimits(before.limits) : resolveLimits(kind, change.limits, offer);
    const topics = changeTopics(kind, readTopics(before.topics), change, limits);
    const kept = before.deleted_topics.filter((topic) => !topics.some((each) => each.name === topic));
    const deleted = [...new Set([...kept, ...change.deleteTopics])];
    const write = (values: readonly [string, string, readonly string[]]) =>
      writeUnder(parts.database, lease, pluginBeginUpdate, [
        values[0],
        values[1],
        JSON.stringify(values[2]),
        sqlNow(parts),
      ]);
    lease.row = await write([toLimitsText(limits), toTopicsText(topics), deleted]);
    lease.hasBegun = true;
    await parts.onStep("update: row written", lease.projectId);
    try {
      const provisioned = await provision(parts, lease);
      await parts.onStep("update: provisioned", lease.projectId);
      return { row: await finishProvision(parts, lease, provisioned, {}, offer.endpoint) };
    } catch (error) {
      if (!isPassing(error))
        lease.row = await write([
          JSON.stringify(before.limits),
          JSON.stringify(before.topics),
          before.deleted_topics,
        ]);
      throw error;
    }
  });
}

/** Runs work under the lease of a plugin. What fails is written into the row, and thrown as the caller gets it. */
export async function underLease<T>(
  parts: PluginParts,
  name: PluginName,
  options: CallOptions,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const lease = await takeLease(parts, name, options);
  try {
    return await work(lease);
  } catch (error) {
    await endFailed(parts, lease, error);
    throw toCallError(error);
  }
}

/** Returns the row of a plugin. Throws PLUGIN_NOT_ENABLED if the project never enabled it. */
export async function requireRow(
  { database }: Pick<PluginParts, "database">,
  { projectId, kind }: PluginName,
): Promise<PluginRow> {
  const [row] = await database.query(pluginByKind, [projectId, kind]);
  if (row === undefined) throw notEnabled(kind, "was never enabled for this project");
  return row;
}

/** Gives the lease back without a change, and returns the row. */
export async function release({ database }: Pick<PluginParts, "database">, lease: Lease): Promise<PluginRow> {
  await database.query(pluginRelease, [lease.projectId, lease.kind, lease.owner]);
  return lease.row;
}

/** A plugin that is being set up again after it was ENABLED can be changed as well. */
function requireUsable({ kind, state, is_usable: isUsable }: PluginRow): void {
  if (state === "ENABLED" || (state === "PROVISIONING" && isUsable)) return;
  throw notEnabled(kind, `is ${state} for this project`);
}

function notEnabled(kind: KindName, state: string) {
  const problem = `The ${toWord(kind)} plugin ${state}; call EnablePlugin first.`;
  return fieldFailure("PLUGIN_NOT_ENABLED", "kind", problem, { plugin: toWord(kind) });
}

/** Writes that the work has begun, and makes the credentials whose number that took. */
async function begin(lease: Lease, write: () => Promise<PluginRow>): Promise<NewCredential> {
  lease.row = await write();
  lease.hasBegun = true;
  return await makeCredential(lease.kind, lease.projectId, lease.row.last_credential);
}

function toMade(
  kind: KindName,
  fresh: NewCredential,
  offer: { readonly endpoint: string; readonly usesTls: boolean },
): MadeCredentials {
  const { username, password } = fresh;
  return { username, password, url: toUrl(kind, fresh, offer) };
}
