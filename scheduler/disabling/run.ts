import { isItemFault } from "../../db/item-fault.ts";
import { isLockTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import type { Parts } from "../parts.ts";
import { putBack, setAside } from "../set-aside/set-aside.ts";
import { countSignals, SIGNALS_AT_ONCE } from "./count-signals.ts";
import { failingJobsPending } from "./failing-jobs.sql.ts";
import { type StoppedJob, stopJob } from "./stop-job.ts";

/** The parts of the scheduler that pausing and disabling jobs uses. */
export type DisablingParts = ChangeParts & Pick<Parts, "database">;

/** Time between two passes. */
export const DISABLING_EVERY_MS = 1_000;
/** How often jobs are looked for that another scheduler has left, because it died, or that were set aside. */
const LOOK_EVERY_MS = 5_000;
/** The most jobs that one pass pauses or disables. */
const JOBS_AT_ONCE = 100;
/** The most jobs whose signals a pass leaves out, because they were locked. */
const MAX_LOCKED = 1_000;
/** After so many jobs that met SERVICE_UNAVAILABLE in one pass, the database is taken to be away. */
const MAX_UNAVAILABLE = 3;

/**
 * Pauses or disables the jobs that are to be, at most 100, each in its own transaction: before the commit a kill undoes
 * it, and after it the job is not pending any more. Returns how many there were. A job that cannot be changed, or that
 * another transaction has locked for too long, is logged as an error and set aside, so that the others are changed. After
 * SERVICE_UNAVAILABLE, which may concern one job, it goes on with the others, and throws it at the end, or when three jobs
 * have met it.
 */
export async function stopPending(
  parts: DisablingParts,
  logger: Pick<Logger, "error" | "warn">,
): Promise<number> {
  const { database, clock } = parts;
  const pending = await database.query(failingJobsPending, [JOBS_AT_ONCE, toSqlTime(clock.now())]);
  const unavailable: unknown[] = [];
  for (const { job_uid: uid, project_id: projectId } of pending) {
    try {
      const stopped = await database.transaction(async (tx) => {
        const job = await stopJob(tx, parts, { uid, projectId });
        await putBack(tx, "disabling", [uid]);
        return job;
      });
      if (stopped !== undefined) report(logger, stopped);
    } catch (error) {
      if (!isItemFault(error) && !isLockTimeout(error)) {
        unavailable.push(error);
        if (unavailable.length === MAX_UNAVAILABLE) throw error;
        continue;
      }
      const problem = "The job cannot be paused or disabled.";
      const [aside] = await setAside(
        database,
        "disabling",
        [{ id: uid, projectId, problem, error }],
        clock.now(),
      );
      const { failures, retryTimeMs } = aside ?? {};
      logger.error(
        { jobUid: uid, projectId, failures, retryTimeMs, err: error },
        "the pausing or disabling of a job is set aside; trying again later",
      );
    }
  }
  if (unavailable.length > 0) throw unavailable[0];
  return pending.length;
}

function report(logger: Pick<Logger, "warn">, { row, reason }: StoppedJob): void {
  const { uid: jobUid, project_id: projectId } = row;
  const { cause, trigger: triggerId, statusCode, host, exhaustedCount } = reason;
  const what =
    cause === "EXHAUSTED"
      ? "a job was disabled, because too many of its triggers were exhausted"
      : "a job was paused, because its receiver wants no more triggers";
  logger.warn({ jobUid, projectId, cause, triggerId, statusCode, host, exhaustedCount }, what);
}

/** Makes one pass of the loop: it counts what the dispatchers tell, and pauses or disables jobs. */
export function createDisabling(
  parts: DisablingParts,
  logger: Pick<Logger, "error" | "warn">,
  elapsedMs: () => number = () => performance.now(),
): () => Promise<{ readonly more: boolean }> {
  let lookedMs = Number.NEGATIVE_INFINITY;
  let locked: readonly string[] = [];
  return async () => {
    const counted = await countSignals(parts, logger, locked);
    const isFull = counted.signals === SIGNALS_AT_ONCE;
    // While passes are full, what was locked stays out, so that it does not fill every second pass.
    locked = isFull ? [...counted.locked, ...locked].slice(0, MAX_LOCKED) : counted.locked;
    const isMany = isFull && counted.taken > 0;
    if (counted.signals === 0 && elapsedMs() - lookedMs < LOOK_EVERY_MS) return { more: false };
    lookedMs = elapsedMs();
    return { more: (await stopPending(parts, logger)) === JOBS_AT_ONCE || isMany };
  };
}

/** Starts the loop, which makes a pass every second. Any number of schedulers may run it at the same time. */
export function startDisabling(parts: DisablingParts, logger: Logger): Loop {
  const pass = createDisabling(parts, logger);
  return startLoop(pass, {
    everyMs: DISABLING_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "the ends of triggers were not counted; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "counting the ends of triggers again"),
  });
}
