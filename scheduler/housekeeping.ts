import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import type { Logger } from "../mesh/logger.ts";
import { undoDeleteOlder } from "./batch/batch.sql.ts";
import { requestDeleteOlder } from "./requests/requests.sql.ts";

/** How long a request id is kept. */
const REQUEST_MEMORY_MS = 24 * 3_600_000;
/** How long the undo of a batch is kept. */
const UNDO_MEMORY_MS = 30 * 24 * 3_600_000;
const EVERY_MS = 600_000;
/** How many rows one statement deletes, as in requests.sql.ts and batch.sql.ts. */
const DELETED_REQUESTS = 10_000;
const DELETED_UNDOS = 1_000;

/** Deletes request ids older than a day, and returns how many. Any number of schedulers may do so at the same time. */
export async function deleteOldRequests(database: Database, nowMs: number): Promise<number> {
  let deleted = 0;
  for (;;) {
    const rows = await database.query(requestDeleteOlder, [toSqlTime(nowMs - REQUEST_MEMORY_MS)]);
    deleted += rows.length;
    if (rows.length < DELETED_REQUESTS) return deleted;
  }
}

/** Deletes the undos of batches older than thirty days. */
export async function deleteOldUndos(database: Database, nowMs: number): Promise<void> {
  while (
    (await database.query(undoDeleteOlder, [toSqlTime(nowMs - UNDO_MEMORY_MS)])).length === DELETED_UNDOS
  );
}

/** Deletes old request ids and undos every ten minutes. A failure is logged, and the next round tries again. */
export function startHousekeeping(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): { stop(): void } {
  const timer = setInterval(() => {
    const now = parts.clock.now();
    Promise.all([deleteOldRequests(parts.database, now), deleteOldUndos(parts.database, now)]).catch(
      (error: unknown) =>
        parts.logger.warn(
          { err: error },
          "cannot delete old request ids and undos; trying again in ten minutes",
        ),
    );
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
