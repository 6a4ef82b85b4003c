import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { instanceGiveUpWaiting } from "./instances.sql.ts";

const LIMIT = 1_000;

/**
 * Gives up the ownership of all triggers of an instance that are due after `afterMs` and have no attempt in flight, so
 * that any dispatcher can take them. The first due go first. Throws SERVICE_UNAVAILABLE.
 */
export async function giveUpWaiting(database: Database, instance: string, afterMs: number): Promise<void> {
  for (let fromMs = Math.max(0, afterMs); ; ) {
    const rows = await database.query(instanceGiveUpWaiting, [instance, toSqlTime(fromMs), LIMIT]);
    if (rows.length < LIMIT) return;
    // Triggers that are due at the same time may lie on both sides of the limit.
    fromMs = Math.max(...rows.map(({ due_time }) => due_time)) - 1;
  }
}
