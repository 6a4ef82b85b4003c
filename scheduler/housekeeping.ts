import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import type { Logger } from "../mesh/logger.ts";
import { undoDeleteOlder } from "./batch/batch.sql.ts";
import { requestDeleteOlder } from "./requests/requests.sql.ts";

/** How long a request id is remembered. */
export const REQUEST_MEMORY_MS = 24 * 3_600_000;
const UNDO_MEMORY_MS = 30 * 24 * 3_600_000;
const EVERY_MS = 600_000;

/** Forgets request ids older than a day. Any number of schedulers may do so at once. */
export async function forgetRequests(database: Database, nowMs: number): Promise<number> {
  let forgotten = 0;
  for (;;) {
    const rows = await database.query(requestDeleteOlder, [toSqlTime(nowMs - REQUEST_MEMORY_MS)]);
    forgotten += rows.length;
    if (rows.length < 10_000) return forgotten;
  }
}

/** Forgets what batches older than thirty days have changed. */
export async function forgetUndos(database: Database, nowMs: number): Promise<void> {
  while ((await database.query(undoDeleteOlder, [toSqlTime(nowMs - UNDO_MEMORY_MS)])).length === 1_000);
}

/** Forgets every ten minutes; a failure is logged and made up for the next time. */
export function startHousekeeping(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): { stop(): void } {
  const timer = setInterval(() => {
    const now = parts.clock.now();
    Promise.all([forgetRequests(parts.database, now), forgetUndos(parts.database, now)]).catch(
      (error: unknown) => parts.logger.warn({ err: error }, "old request ids and undos were not forgotten"),
    );
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
