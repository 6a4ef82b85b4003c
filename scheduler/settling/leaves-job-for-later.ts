import { isItemFault } from "../../db/item-fault.ts";
import { isLockTimeout } from "../../db/pool.ts";
import { EasyCronError } from "../../mesh/errors.ts";

/**
 * Whether an error leaves one job for later, and the others of its set can go on: a fault of the job, a lock on it, or a
 * backlog that is too long for one change.
 */
export function leavesJobForLater(error: unknown): boolean {
  const hasLongBacklog = error instanceof EasyCronError && error.metadata.service === "scheduler";
  return isItemFault(error) || hasLongBacklog || isLockTimeout(error);
}
