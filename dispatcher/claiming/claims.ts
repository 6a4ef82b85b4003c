import { isItemFault } from "../../db/item-fault.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import { pause } from "../../mesh/pause.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { toForms, toNames, toStarts } from "../waiting/names.ts";
import {
  triggerClaim,
  triggerClaimWaited,
  triggerExhaust,
  triggerGiveUp,
  triggerReadUnclaimed,
  triggerUnclaim,
} from "../waiting/triggers.sql.ts";
import { triggerClaimOrdered } from "./ordering.sql.ts";

const GIVE_UP_TRIES = 5;
const GIVE_UP_PAUSE = { minMs: 100, maxMs: 1_000, jitter: 0.2 };

/** Who claims or ends triggers, and when. */
export interface ClaimedBy {
  readonly instance: string;
  readonly nowMs: number;
}

/** What became of a claim. A trigger that is in none of the three is no longer wanted, or no longer of this instance. */
export interface ClaimAnswer {
  /** The ids of the triggers whose attempt is recorded as started. */
  readonly claimed: ReadonlySet<string>;
  /**
   * The triggers that are still wanted but could not be claimed, by id, with their due time in epoch milliseconds.
   * Another transaction has locked the row, the trigger is not due yet because the clock has stepped back, or an earlier
   * trigger of its ordered job has not ended.
   */
  readonly postponed: ReadonlyMap<string, number>;
  /** The triggers for which PostgreSQL refuses the statement. */
  readonly failed: readonly { readonly item: HeldTrigger; readonly error: unknown }[];
}

/**
 * Claims the next attempt of due triggers. All of them must have started the same number of attempts, and all or none must
 * have waited. All must be of ordered jobs or none (`isOrdered`); of an ordered job only the first that has not ended is
 * claimed. Never waits for a lock. If the statement fails because of one trigger, it is repeated for the others.
 *
 * To be called at or after their due time, never before. A change of the job that was acknowledged before the fire time
 * has withdrawn the row by then, so nothing of the old specification starts (promise 5). Throws SERVICE_UNAVAILABLE;
 * then the call may be repeated.
 */
export async function claimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: ClaimedBy,
  isOrdered = false,
): Promise<ClaimAnswer> {
  const claim = isOrdered ? claimOrderedPart : claimPart;
  return await change(database, triggers, by, (part) => claim(database, part, by));
}

/**
 * Ends triggers as EXHAUSTED without another attempt, because no attempt or no time is left. Works like
 * `claimTriggers`; `claimed` of the answer has the ids of those that were ended. Throws SERVICE_UNAVAILABLE.
 */
export async function exhaustTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: ClaimedBy,
): Promise<ClaimAnswer> {
  return await change(database, triggers, by, (part) => exhaustPart(database, part, by));
}

/** Changes triggers by `work`, which returns the ids of the changed ones, and looks what has become of the others. */
async function change(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: ClaimedBy,
  work: (part: readonly HeldTrigger[]) => Promise<string[]>,
): Promise<ClaimAnswer> {
  const changed = await takeApart(triggers, work, { isItemFault });
  const claimed = new Set(changed.results.flat());
  if (claimed.size === triggers.length) return { claimed, postponed: new Map(), failed: [] };
  const bad = new Set(changed.failed.map(({ item }) => item));
  const rest = triggers.filter((trigger) => !claimed.has(trigger.id) && !bad.has(trigger));
  if (rest.length === 0) return { claimed, postponed: new Map(), failed: changed.failed };
  const left = await takeApart(rest, (part) => readUnclaimed(database, part, by), { isItemFault });
  return { claimed, postponed: new Map(left.results.flat()), failed: [...changed.failed, ...left.failed] };
}

async function claimPart(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: ClaimedBy,
): Promise<string[]> {
  const values = toClaimValues(triggers, by);
  const rows =
    triggers[0]?.waitingFor == null
      ? await database.query(triggerClaim, values)
      : await database.query(triggerClaimWaited, [...values, toWaits(triggers)]);
  return rows.map(({ id }) => id);
}

async function claimOrderedPart(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: ClaimedBy,
): Promise<string[]> {
  const values = [...toClaimValues(triggers, by), toWaits(triggers)];
  return (await database.query(triggerClaimOrdered, values)).map(({ id }) => id);
}

function toClaimValues(triggers: readonly HeldTrigger[], { instance, nowMs }: ClaimedBy) {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  return [...toNames(triggers), number, toSqlTime(nowMs), instance, toForms(triggers)];
}

/** Writes a JSON object with the time at which each trigger began to wait before its first attempt. */
function toWaits(triggers: readonly HeldTrigger[]): string {
  const waits = triggers.flatMap(({ id, attemptCount, attemptBase, waitingSinceMs }) =>
    attemptCount > attemptBase || waitingSinceMs === null ? [] : [`"${id}":"${toSqlTime(waitingSinceMs)}"`],
  );
  return `{${waits.join(",")}}`;
}

/** Reads which of these triggers a claim has left out although they are still wanted, with their due times. */
async function readUnclaimed(
  database: Database,
  triggers: readonly HeldTrigger[],
  { instance }: ClaimedBy,
): Promise<[string, number][]> {
  const values = [...toNames(triggers), instance, toStarts(triggers)];
  const rows = await database.query(triggerReadUnclaimed, values);
  return rows.map(({ id, due_time }) => [id, due_time]);
}

async function exhaustPart(
  database: Database,
  triggers: readonly HeldTrigger[],
  { instance, nowMs }: ClaimedBy,
): Promise<string[]> {
  const values = [...toNames(triggers), toSqlTime(nowMs), instance, toStarts(triggers)];
  const rows = await database.query(triggerExhaust, values);
  return rows.map(({ id }) => id);
}

/**
 * Gives up the ownership of triggers that have no attempt in flight, so that any dispatcher can take them. A trigger
 * whose row is locked is tried again some times, for about two seconds; the sweep releases what is left.
 */
export async function giveUpTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  let rest = triggers;
  for (let attempt = 1; attempt <= GIVE_UP_TRIES && rest.length > 0; attempt++) {
    if (attempt > 1) await pause(backoffMs({ attempt, ...GIVE_UP_PAUSE, random: Math.random }));
    const giveUp = (part: readonly HeldTrigger[]) =>
      database.query(triggerGiveUp, [...toNames(part), instance]);
    const { results, failed } = await takeApart(rest, giveUp, { isItemFault });
    const done = new Set(results.flat().map(({ id }) => id));
    const bad = new Set(failed.map(({ item }) => item));
    rest = rest.filter((trigger) => !done.has(trigger.id) && !bad.has(trigger));
  }
}

/**
 * Undoes the claims of attempts that were not sent, and gives up the ownership of their triggers, so that any
 * dispatcher can take them. All attempts must have the same number. Leaves out triggers whose row is locked, and those
 * for which PostgreSQL refuses the statement.
 */
export async function unclaimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  const unclaim = (part: readonly HeldTrigger[]) =>
    database.query(triggerUnclaim, [...toNames(part), number, instance]);
  await takeApart(triggers, unclaim, { isItemFault });
}

/**
 * Groups triggers by the number of attempts started, and by whether they have waited. Claiming and unclaiming take one such
 * group at a time.
 */
export function groupByAttempts<T>(items: readonly T[], triggerOf: (item: T) => HeldTrigger): T[][] {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const { attemptCount, waitingFor } = triggerOf(item);
    const name = waitingFor === null ? attemptCount : -1 - attemptCount;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
