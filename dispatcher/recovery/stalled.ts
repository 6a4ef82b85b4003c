import type { Wanted } from "../../mesh/loop.ts";
import { instanceHasOthers, instanceListStalled } from "../instances/instances.sql.ts";
import { runForRows } from "../set-aside/run-for-rows.ts";
import { toHeldTrigger } from "../waiting/held-trigger.ts";
import { triggerListStalled, triggerTakeStalled } from "../waiting/triggers.sql.ts";
import type { RecoveryParts } from "./recovery.ts";

/** Time between two calls of `takeFromStalled` while there are other dispatchers. */
const STALLED_EVERY_MS = 150;
/**
 * Time between two looks whether there are others. It is shorter than STALLED_MS, so another one is known before it can
 * count as stalled.
 */
export const OTHERS_EVERY_MS = 400;
/** How long others that were seen are taken to be there. */
const OTHERS_KNOWN_MS = 5_000;
/** Time between two signs of life of a dispatcher. */
export const BEAT_EVERY_MS = 200;
/** A dispatcher that has shown no sign of life for this long counts as stalled. */
const STALLED_MS = 600;
/** A dispatcher whose own last sign of life is older takes nothing: PostgreSQL may be slow for all. */
const FRESH_MS = 400;
const TAKE_LIMIT = 1_000;

/**
 * Returns a function that calls `takeFromStalled` while there are other dispatchers, and says when to call it again. A
 * dispatcher that is alone only looks whether another one has come.
 */
export function createStalledWatch(
  parts: RecoveryParts,
  monotonicMs: () => number = () => performance.now(),
): () => Promise<Wanted> {
  let othersUntilMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const nowMs = monotonicMs();
    if (nowMs >= othersUntilMs) {
      const [row] = await parts.database.query(instanceHasOthers, [parts.lease.instance]);
      if (row?.has_others !== true) return { more: false };
      othersUntilMs = nowMs + OTHERS_KNOWN_MS;
    }
    await takeFromStalled(parts);
    return { more: false, againMs: STALLED_EVERY_MS };
  };
}

/**
 * Takes and holds the triggers of stalled dispatchers that are due soon or overdue. A dispatcher is stalled when its
 * process stands still, for example because its machine is overloaded; its lease expires only seconds later. When it
 * wakes up, it cannot claim the triggers that were taken, so none starts twice. Its attempts in flight are left to it
 * until its lease expires.
 */
export async function takeFromStalled(parts: RecoveryParts): Promise<void> {
  const { database, lease, holding, leftOut, events } = parts;
  const { instance } = lease;
  const stalled = await database.query(instanceListStalled, [instance, STALLED_MS, FRESH_MS]);
  if (stalled.length === 0) return;
  const owners = stalled.map(({ id }) => id);
  while (lease.isValid() && parts.mayTake()) {
    if (!holding.hasRoom()) return;
    const { all, late, noLate } = holding.crowded();
    const values = [owners, TAKE_LIMIT, all, late, noLate, leftOut.ids()];
    const { rows, seen, failed } = await runForRows(
      (ids) => database.query(triggerTakeStalled, [...values, ids, instance]),
      () => database.query(triggerListStalled, values),
    );
    await leftOut.add(failed);
    if (rows.length > 0) events.emit("takenFromStalled", { instances: owners, count: rows.length });
    // If the lease was lost meanwhile, these triggers are released with the others of the old instance id.
    if (instance !== lease.instance) return;
    parts.hold(rows.map(toHeldTrigger));
    if (seen.length < TAKE_LIMIT || rows.length + failed.length === 0) return;
  }
}
