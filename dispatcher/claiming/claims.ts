import { toPlainArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { triggerClaim, triggerExhaust, triggerGiveUp, triggerUnclaim } from "../waiting/triggers.sql.ts";

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

/**
 * Claims the next attempt of due triggers, all of which have started equally many, and returns the ids of those that
 * are still wanted. To be called at or after their due time, never before: a change of the job that was acknowledged
 * before the fire time has withdrawn the row by then, and so nothing of the old specification starts (promise 5).
 */
export async function claimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: { readonly instance: string; readonly nowMs: number },
): Promise<ReadonlySet<string>> {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  const forms = `{${triggers.map(toForm).join(",")}}`;
  const values = [...toNames(triggers), number, toSqlTime(by.nowMs), by.instance, forms];
  const rows = await database.query(triggerClaim, values);
  return new Set(rows.map(({ id }) => id));
}

function toForm({ id, revision, seq, attemptBase }: HeldTrigger): string {
  return `"${id}":"${revision}/${seq}/${attemptBase}"`;
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
