import { toPlainArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { triggerClaim, triggerExhaust, triggerGiveUp, triggerUnclaim } from "../waiting/triggers.sql.ts";

/** Returns the ids and the range of nominal times. With the range, PostgreSQL reads only the partitions concerned. */
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
 * Claims the next attempt of due triggers and returns the ids of the triggers that are still wanted. All of them must
 * have started the same number of attempts.
 *
 * To be called at or after their due time, never before. A change of the job that was acknowledged before the fire time
 * has withdrawn the row by then, so nothing of the old specification starts (promise 5). Throws SERVICE_UNAVAILABLE.
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

/** Ends triggers as EXHAUSTED without another attempt, because no attempt or no time is left. */
export async function exhaustTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  by: { readonly instance: string; readonly nowMs: number },
): Promise<void> {
  await database.query(triggerExhaust, [...toNames(triggers), toSqlTime(by.nowMs), by.instance]);
}

/** Gives up the ownership of triggers that have no attempt in flight, so that any dispatcher can take them. */
export async function giveUpTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  await database.query(triggerGiveUp, [...toNames(triggers), instance]);
}

/**
 * Undoes the claims of attempts that were not sent, and gives up the ownership of their triggers, so that any
 * dispatcher can take them. All attempts must have the same number.
 */
export async function unclaimTriggers(
  database: Database,
  triggers: readonly HeldTrigger[],
  instance: string,
): Promise<void> {
  const number = (triggers[0]?.attemptCount ?? 0) + 1;
  await database.query(triggerUnclaim, [...toNames(triggers), number, instance]);
}

/** Groups triggers by the number of attempts started. Claiming and unclaiming take one such group at a time. */
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
