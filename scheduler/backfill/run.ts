import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { lockJob } from "../changes/lock-job.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { triggerId } from "../job/trigger-id.ts";
import { isUndecided } from "../job/undecided.ts";
import type { Parts } from "../parts.ts";
import { statesOf } from "./backfill.ts";
import {
  backfillRedeliver,
  type OperationRow,
  operationAdvance,
  operationClaimDue,
  operationFinish,
  operationPostpone,
} from "./operations.sql.ts";
import { fireTimesBetween, planBackfill } from "./plan.ts";

/** Most fire times of one transaction. */
const CHUNK = 500;
const EVERY_MS = 500;
const AFTER_FAILURE_MS = 5_000;

/**
 * Goes on with the backfill that has waited longest: one chunk of fire times, in one transaction that holds the job,
 * so that no change of it comes between. A crash before the commit makes the same chunk again, whose triggers have
 * the same ids. Returns whether there was anything to do. One whose chunk fails waits for five seconds.
 */
export async function runBackfill(parts: Parts): Promise<boolean> {
  let claimed: OperationRow | undefined;
  try {
    return await parts.database.transaction(async (tx) => {
      const nowMs = parts.clock.now();
      [claimed] = await tx.query(operationClaimDue, [toSqlTime(nowMs)]);
      if (claimed !== undefined) await runChunk(parts, tx, claimed, nowMs);
      return claimed !== undefined;
    });
  } catch (error) {
    if (claimed !== undefined) {
      const wake = toSqlTime(parts.clock.now() + AFTER_FAILURE_MS);
      await parts.database.query(operationPostpone, [claimed.uid, wake]);
    }
    throw error;
  }
}

async function runChunk(parts: Parts, tx: Queryable, operation: OperationRow, nowMs: number): Promise<void> {
  const row = await lockLiving(tx, operation);
  if (row === undefined) {
    await finish(tx, operation, "FAILED", `The job "${operation.job_name}" was deleted.`, nowMs);
    return;
  }
  const [schedule] = await parts.schedules.load(tx, [{ uid: row.uid, revision: operation.revision }]);
  if (schedule === undefined) throw new Error(`Revision ${operation.revision} of ${row.uid} is gone.`);
  const afterMs = operation.last_fire_time ?? operation.start_time - 1;
  const limit = Math.min(CHUNK, operation.max_per_second);
  const fireTimes = fireTimesBetween(schedule, { afterMs, endMs: operation.end_time }, limit);
  const last = fireTimes.at(-1);
  if (last === undefined) {
    await finish(tx, operation, "SUCCEEDED", "", nowMs);
    return;
  }
  const gates = await gatesOf(tx, parts.zoneData, row.project_id, schedule.calendars);
  const states = await statesOf(tx, row, fireTimes);
  const items = planBackfill(
    { gates, states, force: operation.force, isUndecided: (atMs) => isUndecided(row, atMs) },
    fireTimes,
  );
  const timesOf = (wanted: string) =>
    items.filter(({ verdict }) => verdict === wanted).map(({ fireTimeMs }) => fireTimeMs);
  const fresh = timesOf("TRIGGER");
  const again = timesOf("REDELIVER");
  if (again.length > 0) {
    const times = again.map(toSqlTime);
    const by = [operation.force, toSqlTime(nowMs), row.revision, row.name];
    await tx.query(backfillRedeliver, [row.project_id, row.uid, times, ...by]);
  }
  if (fresh.length > 0) {
    const zoneData = parts.zoneData.label(schedule, nowMs);
    await parts.handOver.send(fresh.map((fireTimeMs) => backfillEvent(row, { fireTimeMs, nowMs, zoneData })));
  }
  const done = fresh.length + again.length;
  const pauseMs = Math.ceil((done * 1_000) / operation.max_per_second);
  await tx.query(operationAdvance, [operation.uid, toSqlTime(last), done, toSqlTime(nowMs + pauseMs)]);
}

// The same id as the fire time's own trigger, so that there is one of them at most.
function backfillEvent(
  row: JobRow,
  {
    fireTimeMs,
    nowMs,
    zoneData,
  }: { readonly fireTimeMs: number; readonly nowMs: number; readonly zoneData: string },
): TriggerEventInit {
  return {
    triggerId: triggerId(row.uid, fireTimeMs),
    projectId: row.project_id,
    jobUid: row.uid,
    jobName: row.name,
    revision: row.revision,
    epoch: row.epoch,
    kind: TriggerKind.BACKFILL,
    nominalTimeMs: BigInt(fireTimeMs),
    effectiveTimeMs: BigInt(nowMs),
    seq: 0,
    previousSkipped: 0,
    previousMissed: 0,
    zoneDataVersion: zoneData,
  };
}

// A name that was given to a new job is not this one.
async function lockLiving(tx: Queryable, operation: OperationRow): Promise<JobRow | undefined> {
  try {
    const row = await lockJob(tx, { projectId: operation.project_id, name: operation.job_name });
    return row.uid === operation.job_uid ? row : undefined;
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}

async function finish(
  on: Queryable,
  operation: OperationRow,
  state: "SUCCEEDED" | "FAILED",
  error: string,
  nowMs: number,
): Promise<void> {
  await on.query(operationFinish, [operation.uid, state, error, toSqlTime(nowMs)]);
}

/** Goes on with backfills until stopped, every half second and at once while there are any due. */
export function startBackfills(parts: Parts, logger: Logger): { stop(): Promise<void> } {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const work = async () => {
    try {
      while (!stopped && (await runBackfill(parts)));
    } catch (error) {
      logger.warn({ err: error }, "a backfill did not go on");
    }
  };
  const timer = setInterval(() => {
    running = running.then(work);
  }, EVERY_MS);
  timer.unref();
  return {
    stop: () => {
      stopped = true;
      clearInterval(timer);
      return running;
    },
  };
}
