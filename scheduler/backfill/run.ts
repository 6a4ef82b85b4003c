import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { lockJob } from "../changes/lock-job.ts";
import { TRIGGER_EVENT, type TriggerEventInit } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { triggerId } from "../job/trigger-id.ts";
import { isUndecided } from "../job/undecided.ts";
import { readFloor } from "../ledger/floor.ts";
import type { Parts } from "../parts.ts";
import { putBack, type SetAside, setAside } from "../set-aside/set-aside.ts";
import { sendAllOrThrow } from "../turns/hand-over.ts";
import { readTriggerStates } from "./backfill.ts";
import {
  backfillRedeliver,
  type OperationKindName,
  type OperationRow,
  operationAdvance,
  operationAnyDue,
  operationClaimDue,
  operationFinish,
  operationPostpone,
} from "./operations.sql.ts";
import { fireTimesBetween, planBackfill } from "./plan.ts";

/** The most fire times of one chunk, which is one transaction. */
const CHUNK = 500;
/** Time between two looks for due backfills. */
export const BACKFILLS_EVERY_MS = 500;
const RETRY_MS = 5_000;

/** What running an operation takes. */
export type RunParts = Pick<Parts, "database" | "schedules" | "zoneData" | "handOver" | "clock">;

/** Does the next part of an operation at `nowMs`, in epoch milliseconds, and records its progress or its end. */
export type RunChunk = (
  parts: RunParts,
  tx: Queryable,
  operation: OperationRow,
  nowMs: number,
) => Promise<void>;

/** What runs the chunks of the operations that are not backfills. */
export type OtherChunks = Readonly<Record<Exclude<OperationKindName, "BACKFILL">, RunChunk>>;

/** The error of an operation that is set aside; its cause says why. */
export class BackfillSetAsideError extends Error {
  readonly operation: string;
  readonly aside: SetAside;

  constructor(operation: string, aside: SetAside) {
    super(`The operation ${operation} is set aside.`, { cause: aside.error });
    this.name = "BackfillSetAsideError";
    this.operation = operation;
    this.aside = aside;
  }
}

/**
 * Runs one chunk of the operation that has waited longest: a backfill, or one that `others` runs. Returns whether there was
 * one.
 *
 * A chunk is one transaction. It locks the job, so that no change of the job happens meanwhile. After a crash before the
 * commit, the same chunk runs again; that is harmless, because its triggers have the same ids.
 *
 * When a chunk fails, its backfill waits, and the others go on. Throws SERVICE_UNAVAILABLE, and the backfill waits for
 * five seconds; or a `BackfillSetAsideError` when the fault may lie in the backfill itself, which then waits for a
 * minute, and for twice that time after each further failure, at most an hour.
 */
export async function runBackfill(parts: RunParts, others?: OtherChunks): Promise<boolean> {
  const nowMs = parts.clock.now();
  let claimed: OperationRow | undefined;
  try {
    return await parts.database.transaction(async (tx) => {
      [claimed] = await tx.query(operationClaimDue, [toSqlTime(nowMs)]);
      if (claimed === undefined) return false;
      const run = claimed.kind === "BACKFILL" ? runChunk : others?.[claimed.kind];
      if (run === undefined) throw new Error(`Nothing runs operations of the kind ${claimed.kind}.`);
      await run(parts, tx, claimed, nowMs);
      await putBack(tx, "backfill", [claimed.uid]);
      return true;
    });
  } catch (error) {
    if (claimed === undefined) throw error;
    throw await postpone(parts, claimed, error, nowMs);
  }
}

/** Postpones an operation whose chunk has failed, and returns the error to throw. */
async function postpone(
  { database }: Pick<RunParts, "database">,
  { uid, project_id: projectId }: OperationRow,
  error: unknown,
  nowMs: number,
): Promise<unknown> {
  const trouble = { id: uid, projectId, problem: "The operation cannot go on.", error };
  const [aside] = isItemFault(error) ? await setAside(database, "backfill", [trouble], nowMs) : [];
  await database.query(operationPostpone, [uid, toSqlTime(aside?.retryTimeMs ?? nowMs + RETRY_MS)]);
  return aside === undefined ? error : new BackfillSetAsideError(uid, aside);
}

async function runChunk(
  parts: RunParts,
  tx: Queryable,
  operation: OperationRow,
  nowMs: number,
): Promise<void> {
  const row = await lockLivingJob(tx, operation);
  if (row === undefined) {
    await finish(tx, operation, "FAILED", `The job "${operation.job_name}" was deleted.`, nowMs);
    return;
  }
  const [schedule] = await parts.schedules.load(tx, [{ uid: row.uid, revision: operation.revision }]);
  if (schedule === undefined)
    throw new Error(`Revision ${operation.revision} of job ${row.uid} does not exist.`);
  const afterMs = operation.last_fire_time ?? operation.start_time - 1;
  const limit = Math.min(CHUNK, operation.max_per_second);
  const fireTimes = fireTimesBetween(schedule, { afterMs, endMs: operation.end_time }, limit);
  const last = fireTimes.at(-1);
  if (last === undefined) {
    await finish(tx, operation, "SUCCEEDED", "", nowMs);
    return;
  }
  const first = fireTimes[0] ?? last;
  const floorMs = await readFloor(tx, row.project_id);
  if (first < floorMs) {
    const error = `The fire times from ${toIso(first)} on were still to be added when the floor of the project reached ${toIso(floorMs)}. Backfill the rest from there on.`;
    await finish(tx, operation, "FAILED", error, nowMs);
    return;
  }
  const gates = await gatesOf(tx, parts.zoneData, row.project_id, schedule.calendars);
  const states = await readTriggerStates(tx, row, fireTimes);
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
    const events = fresh.map((fireTimeMs) => backfillEvent(row, { fireTimeMs, nowMs, zoneData }));
    await sendAllOrThrow(parts.handOver, events);
  }
  const done = fresh.length + again.length;
  const pauseMs = Math.ceil((done * 1_000) / operation.max_per_second);
  await tx.query(operationAdvance, [operation.uid, toSqlTime(last), done, toSqlTime(nowMs + pauseMs)]);
}

// The id is that of the fire time's scheduled trigger, so that a fire time has at most one trigger.
function backfillEvent(
  row: JobRow,
  {
    fireTimeMs,
    nowMs,
    zoneData,
  }: { readonly fireTimeMs: number; readonly nowMs: number; readonly zoneData: string },
): TriggerEventInit {
  return {
    $typeName: TRIGGER_EVENT,
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

/** Locks the job of an operation, and returns its row; undefined if it is deleted. */
export async function lockLivingJob(tx: Queryable, operation: OperationRow): Promise<JobRow | undefined> {
  try {
    // The name may belong to a new job by now. That one is not the job of the operation.
    const row = await lockJob(tx, { projectId: operation.project_id, name: operation.job_name });
    return row.uid === operation.job_uid ? row : undefined;
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Ends an operation. */
export async function finish(
  on: Queryable,
  operation: OperationRow,
  state: "SUCCEEDED" | "FAILED",
  error: string,
  nowMs: number,
): Promise<void> {
  await on.query(operationFinish, [operation.uid, state, error, toSqlTime(nowMs)]);
}

/**
 * Starts the loop that looks for due operations every half second, and runs chunk after chunk while any is due. The look
 * is one statement, and only then there is a transaction.
 */
export function startBackfills(parts: RunParts, logger: Logger, others?: OtherChunks): Loop {
  // After a chunk there is no look, because another chunk is likely to be due.
  let more = false;
  const work = async () => {
    more = (more || (await isAnyDue(parts))) && (await tryBackfill(parts, logger, others));
    return { more };
  };
  return startLoop(work, {
    everyMs: BACKFILLS_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "a chunk of an operation failed; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "running operations again"),
  });
}

async function isAnyDue({ database, clock }: Pick<RunParts, "database" | "clock">): Promise<boolean> {
  const [row] = await database.query(operationAnyDue, [toSqlTime(clock.now())]);
  return row?.any_due === true;
}

/**
 * Like `runBackfill`, but logs that an operation is set aside. Throws when the database or the dispatchers cannot be
 * reached.
 */
async function tryBackfill(parts: RunParts, logger: Logger, others?: OtherChunks): Promise<boolean> {
  try {
    return await runBackfill(parts, others);
  } catch (error) {
    if (!(error instanceof BackfillSetAsideError)) throw error;
    const { operation, aside } = error;
    const { projectId, failures, retryTimeMs } = aside;
    logger.error(
      { operation, projectId, failures, retryTimeMs, err: aside.error },
      "an operation is set aside; trying again later",
    );
    return true;
  }
}
