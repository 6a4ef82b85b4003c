import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { HeldTrigger } from "./held-trigger.ts";
import { toPlainArray } from "./sql-array.ts";
import { triggerClaim, triggerExhaust, triggerGiveUp, triggerUnclaim } from "./triggers.sql.ts";

/** Ids and the span of nominal times, so that PostgreSQL looks into the partitions concerned only. */
function toNames(triggers: readonly HeldTrigger[]): [string, string, string] {
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  const ids: string[] = [];
  for (const { id, fireTimeMs } of triggers) {
    ids.push(id);
    if (fireTimeMs < firstMs) firstMs = fireTimeMs;
    if (fireTimeMs > lastMs) lastMs = fireTimeMs;
  }
  return [toPlainArray(ids), toSqlTime(firstMs), toSqlTime(lastMs)];
}

/** What a claim proved. */
export interface Claimed {
  /** Ids of the triggers whose attempt may be sent. */
  readonly wanted: ReadonlySet<string>;
  /**
   * Claimed, but the row is no longer what this process remembers: it was withdrawn and recorded anew. To be
   * unclaimed, so that the row is read again.
   */
  readonly outdated: readonly HeldTrigger[];
}

/**
 * Claims the next attempt of due triggers, all of which have started equally many. To be called at or after their due time, never before: a change of the job that was acknowledged
 * before the fire time has withdrawn the row by then, and so nothing of the old specification starts (promise 5).
 */
export async function claimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: { readonly instance: string; readonly nowMs: number },
): Promise<Claimed> {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  const values = [...toNames(triggers), number, toSqlTime(by.nowMs), by.instance];
  const rows = new Map((await database.query(triggerClaim, values)).map((row) => [row.id, row]));
  const wanted = new Set<string>();
  const outdated: HeldTrigger[] = [];
  for (const trigger of triggers) {
    const row = rows.get(trigger.id);
    if (row === undefined) continue;
    if (row.revision === trigger.revision && row.seq === trigger.seq) wanted.add(trigger.id);
    else outdated.push(trigger);
  }
  return { wanted, outdated };
}

/** Ends triggers whose attempts or time are used up without another attempt. */
export async function exhaustTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: { readonly instance: string; readonly nowMs: number },
): Promise<void> {
  await database.query(triggerExhaust, [...toNames(triggers), toSqlTime(by.nowMs), by.instance]);
}

/** Lets others take triggers that have not started. */
export async function giveUpTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  await database.query(triggerGiveUp, [...toNames(triggers), instance]);
}

/** Undoes claims of attempts that were not begun, all of the same number, and lets others take the triggers. */
export async function unclaimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  await database.query(triggerUnclaim, [...toNames(triggers), number, instance]);
}

/** Triggers by how many attempts each has started; the statements of this file take one group. */
export function groupByAttempts<T>(items: readonly T[], triggerOf: (item: T) => HeldTrigger): T[][] {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const { attemptCount } = triggerOf(item);
    const group = groups.get(attemptCount);
    if (group === undefined) groups.set(attemptCount, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
