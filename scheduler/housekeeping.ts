import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import type { Logger } from "../mesh/logger.ts";
import { undoDeleteOlder } from "./batch/batch.sql.ts";
import { requestDeleteOlder } from "./requests/requests.sql.ts";
import { forgetSetAside } from "./set-aside/set-aside.ts";

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

/**
 * Deletes old request ids and undos every ten minutes, and forgets what is set aside without anything left to do.
 * Each failure is logged, and the next round tries again. None stops the other work.
 */
export function startHousekeeping(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): { stop(): void } {
  const { database, clock, logger } = parts;
  const onFailure = (work: string) => (error: unknown) =>
    logger.warn({ err: error }, `cannot delete old ${work}; trying again in ten minutes`);
  const timer = setInterval(() => {
    const now = clock.now();
    deleteOldRequests(database, now).catch(onFailure("request ids"));
    deleteOldUndos(database, now).catch(onFailure("undos"));
    forgetSetAside(database, now).catch(onFailure("rows of scheduler.set_aside"));
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
