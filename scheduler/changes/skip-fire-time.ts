import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTimeOrNull } from "../../db/time.ts";
import type {
  SkipFireTimeRequest,
  SkipFireTimeResponseSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { readCarry, toCarryJson } from "../job/carry.ts";
import { isHalted, type JobRow } from "../job/job.ts";
import { jobCarry } from "../job/jobs.sql.ts";
import { readPage, toEntry } from "../ledger/list-fire-times.ts";
import { findLedgerJob } from "../ledger/view.ts";
import type { Parts } from "../parts.ts";
import { presentJob, readJob } from "../reading/read-jobs.ts";
import { type ChangeParts, prepareJob, unchanged, writeChange } from "./change-job.ts";
import { lockJob } from "./lock-job.ts";

type SkipParts = ChangeParts & Pick<Parts, "stepMs">;

/** The most future fire times of one job that can be skipped by request. */
const MAX_REQUESTED = 100;

/**
 * Skips one fire time. If it is still ahead of the cursor, the request is only noted on the job's row. If its trigger
 * was already handed over, the trigger is withdrawn as in any other change, so that the chain has no gap. Throws
 * JOB_NOT_FOUND, FIRE_TIME_NOT_FOUND, FIRE_TIME_DECIDED, and FIELD_INVALID when the job already has 100 such fire
 * times.
 */
export async function skipFireTime(
  parts: SkipParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: SkipFireTimeRequest,
): Promise<MessageInitShape<typeof SkipFireTimeResponseSchema>> {
  const atMs = request.nominalTime === undefined ? 0 : timestampMs(request.nominalTime);
  const job = await findLedgerJob(parts.database, projectId, request.job);
  if (job.state === "DELETED") throw failure("JOB_NOT_FOUND", { job: request.job });
  const readOne = async () => (await readPage(parts, job, atMs, atMs + 1, 1, { field: "nominalTime" }))[0];
  const before = await readOne();
  if (before === undefined) throw notFound(job.name, atMs);
  if (before.reason !== "SKIPPED_BY_REQUEST") {
    await parts.database.transaction(async (tx) => {
      const row = await lockJob(tx, { projectId, name: job.name });
      // Another job may have taken the name in the meantime.
      if (row.uid !== job.uid) throw failure("JOB_NOT_FOUND", { job: request.job });
      await noteRequest(tx, parts, row, atMs);
    });
    parts.wake();
  }
  const row = await readJob(parts, projectId, { name: job.name });
  const after = await readOne();
  if (after === undefined) throw notFound(job.name, atMs);
  return { fireTime: toEntry(row, after), job: await presentJob(parts, row) };
}

async function noteRequest(tx: Queryable, parts: SkipParts, row: JobRow, atMs: number): Promise<void> {
  const schedule = parts.schedules.of(row);
  const carry = readCarry(row.carry);
  if (carry.requested.includes(atMs)) return;
  if (carry.requested.length >= MAX_REQUESTED) throw tooMany(row.name);
  const ahead = atMs >= (row.next_fire_time ?? Number.POSITIVE_INFINITY) || isHalted(row.state);
  // Within the look-ahead and a step, a dispatcher may already have the trigger although the cursor is before it: the
  // turn that handed it over may not have committed. The factor allows for the clock being set back.
  if (ahead && atMs > parts.clock.now() + 2 * (parts.lookAheadMs + parts.stepMs)) {
    if (schedule.nextAfter(atMs - 1) !== atMs || atMs <= row.after_time) throw notFound(row.name, atMs);
    const requested = [...carry.requested, atMs].sort((a, b) => a - b);
    await tx.query(jobCarry, [row.uid, toCarryJson({ ...carry, requested }), toSqlTimeOrNull(row.wake_time)]);
    return;
  }
  const prepared = await prepareJob(tx, parts, row);
  const waits = prepared.position.carry.waiting.includes(atMs);
  if (atMs <= prepared.afterMs && !waits) {
    const problem = "it already has a verdict, or its trigger has started.";
    const metadata = { job: row.name, time: toIso(atMs), problem };
    throw failure("FIRE_TIME_DECIDED", metadata, {
      violations: [{ field: "nominalTime", description: problem }],
    });
  }
  if (!waits && schedule.nextAfter(atMs - 1) !== atMs) throw notFound(row.name, atMs);
  const requested = [...prepared.position.carry.requested, atMs].sort((a, b) => a - b);
  await writeChange(tx, parts, prepared, { ...unchanged(parts, prepared), requested });
}

function notFound(job: string, atMs: number): Error {
  const time = toIso(atMs);
  const violations = [{ field: "nominalTime", description: `The job has no fire time at ${time}.` }];
  return failure("FIRE_TIME_NOT_FOUND", { job, time }, { violations });
}

function tooMany(job: string): Error {
  const problem = `The job "${job}" already has ${MAX_REQUESTED} fire times to skip, the most at a time; pause it instead.`;
  const violations = [{ field: "nominalTime", description: problem }];
  return failure("FIELD_INVALID", { field: "nominalTime", problem }, { violations });
}
