import { ifLeader, type Leadership } from "../db/internal-redis/leadership.ts";
import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import type { Logger } from "../mesh/logger.ts";
import { type Loop, startLoop } from "../mesh/loop.ts";
import { undoDeleteOlder } from "./batch/batch.sql.ts";
import { failingJobsDeleteIdle } from "./job/failing-jobs.sql.ts";
import { requestDeleteOlder } from "./requests/requests.sql.ts";
import { forgetSetAside } from "./set-aside/set-aside.ts";

/** How long a request id is kept. */
const REQUEST_MEMORY_MS = 24 * 3_600_000;
/** How long the undo of a batch is kept. */
const UNDO_MEMORY_MS = 30 * 24 * 3_600_000;
/**
 * How long a count of exhausted triggers is kept that is empty, for the time from which it counts. A trigger of before is
 * not tried for longer than 7 days (RetryPolicy.max_age), and an acknowledgement that is late after that is left aside.
 */
const COUNT_MEMORY_MS = 30 * 24 * 3_600_000;
/** Time between two rounds of housekeeping. */
export const HOUSEKEEPING_EVERY_MS = 600_000;
/** How many rows one statement deletes while there are more (requests.sql.ts, batch.sql.ts, failing-jobs.sql.ts). */
const DELETED_REQUESTS = 10_000;
const DELETED_UNDOS = 1_000;
const DELETED_COUNTS = 1_000;

/**
 * Deletes some of the request ids that are older than a day, of the undos of batches that are older than thirty days, and of the
 * counts of exhausted triggers that are older than that and empty or of a deleted job. Returns whether there may be more. Any
 * number of schedulers may do so at the same time.
 */
async function deleteOld(database: Database, nowMs: number): Promise<boolean> {
  const requests = await database.query(requestDeleteOlder, [toSqlTime(nowMs - REQUEST_MEMORY_MS)]);
  const undos = await database.query(undoDeleteOlder, [toSqlTime(nowMs - UNDO_MEMORY_MS)]);
  const counts = await database.query(failingJobsDeleteIdle, [toSqlTime(nowMs - COUNT_MEMORY_MS)]);
  await forgetSetAside(database, nowMs);
  return (
    requests.length === DELETED_REQUESTS || undos.length === DELETED_UNDOS || counts.length >= DELETED_COUNTS
  );
}

/**
 * Starts the loop that deletes old request ids, undos and counts, and forgets what is set aside without anything left to do,
 * every ten minutes. Of several schedulers, one does it.
 */
export function startHousekeeping(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leadership: Pick<Leadership, "leads" | "giveUp" | "isResting">;
}): Loop {
  const { database, clock, logger, leadership } = parts;
  const work = async () => ({ more: await deleteOld(database, clock.now()) });
  return startLoop(ifLeader(leadership, work), {
    everyMs: HOUSEKEEPING_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "cannot delete old request ids, undos and counts; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "deleting old request ids, undos and counts again"),
  });
}
