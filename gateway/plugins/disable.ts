import { EasyCronError } from "../../mesh/errors.ts";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { type PluginName, release, requireRow, underLease } from "./change.ts";
import { credentialsKeepOnly } from "./credentials.sql.ts";
import { toKind } from "./kinds.ts";
import { type Lease, toInnerOptions, writeUnder } from "./lease.ts";
import { type PluginParts, sqlNow } from "./parts.ts";
import {
  type PluginRow,
  pluginAwaitRemoval,
  pluginBeginDisable,
  pluginCutOff,
  pluginExtendLease,
  pluginFinishDisable,
  pluginFinishRemove,
  pluginKeepEnabled,
} from "./plugins.sql.ts";
import { takeAccessAway } from "./provision.ts";
import { pauseTargets, refuseTargets } from "./target-jobs.ts";

/**
 * When a disabled plugin is looked at again, in milliseconds: a job that was accepted just before the plugin became
 * DISABLING is written within the 10 s of an inner call.
 */
const FOLLOW_UP_MS = 15_000;
/** Removing a gigabyte of small keys takes long. */
const REMOVE_MS = 50_000;
const REMOVE_LEASE_MS = 60_000;

/** How a plugin is disabled. */
export interface DisableOptions {
  readonly isForced: boolean;
  readonly graceMs: number;
}

/**
 * Disables a plugin: the row first, so that no further job gets it as target, then the jobs, then the broker, then the row
 * again. Returns the row and how many jobs were paused. One that is DISABLED already stays as it is. Throws
 * PLUGIN_NOT_ENABLED, PLUGIN_IN_USE, and SERVICE_UNAVAILABLE, after which the loop goes on.
 */
export async function disablePlugin(
  parts: PluginParts,
  name: PluginName,
  { isForced, graceMs }: DisableOptions,
  options: CallOptions,
): Promise<{ row: PluginRow; pausedJobs: number }> {
  await requireRow(parts, name);
  return await underLease(parts, name, options, async (lease) => {
    if (lease.row.state === "DISABLED") return { row: await release(parts, lease), pausedJobs: 0 };
    const values = [isForced, graceMs, sqlNow(parts)];
    lease.row = await writeUnder(parts.database, lease, pluginBeginDisable, values);
    lease.hasBegun = true;
    await parts.onStep("disable: row written", lease.projectId);
    return await goOnDisabling(parts, lease);
  });
}

/** Goes on with a plugin that is DISABLING, from any point. Throws PLUGIN_IN_USE after it has made it ENABLED again. */
export async function goOnDisabling(
  parts: PluginParts,
  lease: Lease,
): Promise<{ row: PluginRow; pausedJobs: number }> {
  const { database } = parts;
  const pausedJobs = lease.row.is_cut_off ? 0 : await freeOfJobs(parts, lease);
  await parts.onStep("disable: jobs paused", lease.projectId);
  await writeUnder(database, lease, pluginCutOff);
  await parts.onStep("disable: cut off", lease.projectId);
  await takeAccessAway(parts, lease);
  await parts.onStep("disable: provisioned", lease.projectId);
  const row = await database.transaction(async (tx) => {
    await tx.query(credentialsKeepOnly, [lease.projectId, lease.kind, []]);
    return await writeUnder(tx, lease, pluginFinishDisable, [FOLLOW_UP_MS, sqlNow(parts)]);
  });
  await parts.onStep("disable: finished", lease.projectId);
  parts.logger.info({ projectId: lease.projectId, kind: lease.kind, pausedJobs }, "a plugin is disabled");
  return { row, pausedJobs };
}

async function freeOfJobs(parts: PluginParts, lease: Lease): Promise<number> {
  if (lease.row.is_forced) return await pauseTargets(parts, lease);
  try {
    await refuseTargets(parts, lease);
  } catch (error) {
    if (EasyCronError.from(error).reason === "PLUGIN_IN_USE") {
      await writeUnder(parts.database, lease, pluginKeepEnabled, [sqlNow(parts)]);
      // The lease has ended with it, so nothing is left to write.
      lease.hasBegun = false;
    }
    throw error;
  }
  return 0;
}

/**
 * Looks after a plugin that is DISABLED: pauses jobs that got it as target while it was being disabled, and removes its data
 * if that is due (`isRemovalDue`). It can be repeated.
 */
export async function lookAfterDisabled(
  parts: PluginParts,
  lease: Lease,
  isRemovalDue: boolean,
): Promise<void> {
  const { database, delivery, logger } = parts;
  const { projectId, kind } = lease;
  const pausedJobs = await pauseTargets(parts, lease);
  if (pausedJobs > 0) logger.info({ projectId, kind, pausedJobs }, "paused jobs of a disabled plugin");
  if (!isRemovalDue) {
    await takeAccessAway(parts, lease);
    await writeUnder(database, lease, pluginAwaitRemoval);
    return;
  }
  await writeUnder(database, lease, pluginExtendLease, [REMOVE_LEASE_MS]);
  const { traceparent } = toInnerOptions(lease);
  await delivery.remove({ kind: toKind(kind), projectId }, { traceparent, deadlineMs: REMOVE_MS });
  await parts.onStep("remove: removed", lease.projectId);
  await writeUnder(database, lease, pluginFinishRemove);
  await parts.onStep("remove: finished", lease.projectId);
  logger.info({ projectId, kind }, "the data of a disabled plugin is removed");
}
