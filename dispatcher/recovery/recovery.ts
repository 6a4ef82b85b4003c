import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { FullScan } from "../../mesh/full-scan.ts";
import type { Wanted } from "../../mesh/loop.ts";
import { newAttemptId } from "../delivery/attempt-id.ts";
import type { Events } from "../events/events.ts";
import {
  instanceDeleteIfIdle,
  instanceListDead,
  instanceListOverdue,
  instanceListOwned,
  instanceListStrangers,
  instanceReleaseTriggers,
  type ReleasedRow,
} from "../instances/instances.sql.ts";
import type { Lease } from "../instances/lease.ts";
import { type DoneForRows, runForRows } from "../set-aside/run-for-rows.ts";
import { type HeldTrigger, toHeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { HORIZON_MS } from "../waiting/horizon.ts";
import { triggerListDue, triggerTakeDue } from "../waiting/triggers.sql.ts";
import type { LeftOut } from "./left-out.ts";

/** What recovery needs. */
export interface RecoveryParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly lease: Lease;
  readonly holding: Holding;
  readonly leftOut: LeftOut;
  /** Holds triggers that this instance owns. */
  readonly hold: (triggers: readonly HeldTrigger[]) => void;
  /** Whether triggers may be taken: not while this dispatcher stops. */
  readonly mayTake: () => boolean;
  /** Called with a trigger that has ended because it was released. */
  readonly onEnded: (trigger: { readonly jobUid: string; readonly revision: number }) => void;
}

const RELEASE_LIMIT = 1_000;
const TAKE_LIMIT = 1_000;
const SWEEP_LIMIT = 1_000;
/** Most statements of one part of a run that takes what is due. */
const TAKE_PAGES = 10;
/** What has been due for less than this is taken first. */
const FRESH_MS = 1_000;
/**
 * If this instance owns a trigger that is overdue by this much and does not hold it, the trigger is lost from memory.
 */
const OVERDUE_MS = 15_000;
/** A scan that does not read everything reads what has been due for less than this. */
const RECENT_MS = 30_000;
/** The same for the sweep, which looks for what is overdue. */
const RECENTLY_OVERDUE_MS = OVERDUE_MS + 60_000;

const LOST =
  "The process that made this attempt ended before the outcome was known; the delivery may have arrived.";

/** Where the taking of a backlog that was too long for one run goes on: a due time. Undefined when there is none. */
export interface Backlog {
  fromMs: number | undefined;
}

/**
 * Releases the triggers of dispatchers whose lease has run out; those that were RUNNING are retried at once. Then takes
 * and holds the triggers that have no owner and are due soon, earliest first.
 *
 * One run takes at most about 10,000 triggers that have been due for long, and returns that there is more. Each run
 * first takes what has been due for less than a second, so that the backlog of one project does not delay the triggers
 * and retries of others.
 */
export async function takeOver(parts: RecoveryParts, scan: FullScan, backlog: Backlog): Promise<Wanted> {
  const dead = await parts.database.query(instanceListDead);
  // What is released may have been due for long.
  if ((await releaseInstances(parts, dead)) > 0) scan.request();
  await takeDue(parts, parts.clock.now() - FRESH_MS);
  const { fromMs } = backlog;
  backlog.fromMs =
    fromMs === undefined
      ? await scan.run((isFull) => takeDue(parts, isFull ? 0 : parts.clock.now() - RECENT_MS))
      : await takeDue(parts, fromMs);
  return { more: backlog.fromMs !== undefined };
}

/**
 * Releases the triggers whose owner has no row in instances. There should be none. The statement may read many dead
 * rows, so it is to be called every few minutes.
 */
export async function releaseStrangers(parts: RecoveryParts): Promise<void> {
  await releaseInstances(parts, await parts.database.query(instanceListStrangers));
}

async function releaseInstances(parts: RecoveryParts, instances: readonly { id: string }[]): Promise<number> {
  let sum = 0;
  for (const { id } of instances) {
    const count = await releaseAll(parts, id);
    if (count > 0) parts.events.emit("released", { instance: id, count });
    sum += count;
  }
  return sum;
}

/**
 * Releases all triggers that an instance owns, and removes the instance when it owns none. Returns how many triggers
 * were released.
 */
export async function releaseAll(parts: ReleaseParts, instance: string): Promise<number> {
  let count = 0;
  for (let fromMs = 0; ; ) {
    const { rows, seen, failed } = await release(parts, instance, { ids: null, fromMs });
    count += rows.length;
    if (seen.length < RELEASE_LIMIT || rows.length + failed.length === 0) break;
    fromMs = Math.max(...seen.map(({ due_time }) => due_time));
  }
  await parts.database.query(instanceDeleteIfIdle, [instance]);
  return count;
}

type ReleaseParts = Pick<RecoveryParts, "database" | "clock" | "leftOut" | "onEnded">;

async function release(
  { database, clock, leftOut, onEnded }: ReleaseParts,
  instance: string,
  { ids, fromMs }: { readonly ids: readonly string[] | null; readonly fromMs: number },
): Promise<DoneForRows<ReleasedRow>> {
  const nowMs = clock.now();
  const [now, from] = [toSqlTime(nowMs), toSqlTime(fromMs)];
  const out = leftOut.ids();
  const done = await runForRows(
    (some) => {
      const wanted = some ?? ids;
      const attemptIds = Array.from({ length: wanted?.length ?? RELEASE_LIMIT }, () => newAttemptId(nowMs));
      const values = [instance, now, RELEASE_LIMIT, attemptIds, LOST, wanted, from, out];
      return database.query(instanceReleaseTriggers, values);
    },
    () => database.query(instanceListOwned, [instance, from, RELEASE_LIMIT, out, ids]),
  );
  for (const row of done.rows) if (row.ended) onEnded({ jobUid: row.job_uid, revision: row.revision });
  await leftOut.add(done.failed);
  return done;
}

/**
 * Takes what is due at `fromMs` or later, with at most TAKE_PAGES statements. Returns the due time at which to go on, or
 * undefined when nothing is left to be taken now.
 */
async function takeDue(parts: RecoveryParts, fromMs: number): Promise<number | undefined> {
  const { database, clock, lease, holding, leftOut } = parts;
  let nextMs = fromMs;
  for (let pages = 0; pages < TAKE_PAGES; pages++) {
    if (!lease.isValid() || !parts.mayTake() || !holding.hasRoom()) return undefined;
    const { instance } = lease;
    const horizon = toSqlTime(clock.now() + HORIZON_MS);
    const { all, late, noLate } = holding.crowded();
    const values = [instance, horizon, TAKE_LIMIT, all, late, noLate, toSqlTime(nextMs), leftOut.ids()];
    const { rows, seen, failed } = await runForRows(
      (ids) => database.query(triggerTakeDue, [...values, ids]),
      () => database.query(triggerListDue, values),
    );
    await leftOut.add(failed);
    if (rows.length > 0) parts.events.emit("taken", { count: rows.length });
    // If the lease was lost meanwhile, these triggers are released with the others of the old instance id.
    if (instance !== lease.instance) return undefined;
    parts.hold(rows.map(toHeldTrigger));
    if (seen.length < TAKE_LIMIT || rows.length + failed.length === 0) return undefined;
    nextMs = Math.max(...seen.map(({ due_time }) => due_time));
  }
  return nextMs;
}

/**
 * Releases overdue triggers that this instance owns and does not hold. There are such triggers when the answer to a
 * statement was lost.
 */
export async function sweepOwn(parts: RecoveryParts, scan: FullScan): Promise<void> {
  await scan.run((isFull) => sweep(parts, isFull ? 0 : parts.clock.now() - RECENTLY_OVERDUE_MS));
}

/** Sweeps what is due at `fromMs` or later. */
async function sweep(parts: RecoveryParts, fromMs: number): Promise<void> {
  const { database, clock, lease, holding } = parts;
  const { instance } = lease;
  const overdue = toSqlTime(clock.now() - OVERDUE_MS);
  let after = { id: "", due_time: fromMs };
  for (;;) {
    const values = [instance, overdue, toSqlTime(after.due_time), after.id, SWEEP_LIMIT];
    const rows = await database.query(instanceListOverdue, values);
    const lost = rows.map(({ id }) => id).filter((id) => !holding.has(id));
    if (lost.length > 0) {
      const { rows: released } = await release(parts, instance, { ids: lost, fromMs: 0 });
      if (released.length > 0) parts.events.emit("released", { instance, count: released.length });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < SWEEP_LIMIT) return;
    after = last;
  }
}
