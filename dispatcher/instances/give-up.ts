import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { runForRows } from "../set-aside/run-for-rows.ts";
import { instanceGiveUpWaiting, instanceListOwned } from "./instances.sql.ts";

const LIMIT = 1_000;

/**
 * Gives up the ownership of all triggers of an instance that are due after `afterMs` and have no attempt in flight, so
 * that any dispatcher can take them. The first due go first. A trigger for which PostgreSQL refuses the statement keeps
 * its owner: the dispatcher that releases what is left of the instance sets it aside. Throws SERVICE_UNAVAILABLE.
 */
export async function giveUpWaiting(database: Database, instance: string, afterMs: number): Promise<void> {
  const refused: string[] = [];
  for (let fromMs = Math.max(0, afterMs + 1); ; ) {
    const from = toSqlTime(fromMs);
    const { rows, seen, failed } = await runForRows(
      (ids) => database.query(instanceGiveUpWaiting, [instance, from, LIMIT, refused, ids]),
      () => database.query(instanceListOwned, [instance, from, LIMIT, refused, null]),
    );
    refused.push(...failed.map(({ item }) => item.id));
    if (seen.length < LIMIT || rows.length + failed.length === 0) return;
    // Triggers that are due at the same time may lie on both sides of the limit.
    fromMs = Math.max(...seen.map(({ due_time }) => due_time));
  }
}
