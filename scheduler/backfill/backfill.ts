import { timestampMs } from "@bufbuild/protobuf/wkt";
import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  type BackfillJobRequest,
  BackfillJobRequestSchema,
  type Operation,
} from "../../gen/easycron/v1/operation_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { gatesOf } from "../calendars/calendars.ts";
import type { JobRow } from "../job/job.ts";
import { isUndecided } from "../job/undecided.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { findEarlierUse, fingerprintOf, rememberUse } from "../requests/request-id.ts";
import { backfillTriggers, operationInsert } from "./operations.sql.ts";
import { getOperation, toOperation } from "./operations.ts";
import { type BackfillItem, type BackfillVerdict, fireTimesBetween, planBackfill } from "./plan.ts";

/** Most fire times of one backfill. */
export const MAX_BACKFILL_FIRE_TIMES = 100_000;
/** Longest range of one backfill: ten years. */
const MAX_RANGE_DAYS = 3_653;
const DEFAULT_PER_SECOND = 100;

interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Begins a backfill, or only counts it. Throws JOB_NOT_FOUND, and FIELD_INVALID for a range that is no range, reaches
 * beyond now, is longer than ten years, or holds more than 100,000 fire times. The same request id gives the same
 * operation, or REQUEST_ID_REUSED.
 */
export async function backfillJob(
  parts: Parts,
  projectId: string,
  request: BackfillJobRequest,
): Promise<Operation> {
  const nowMs = parts.clock.now();
  const { requestId } = request;
  const use = { projectId, requestId, fingerprint: fingerprintOf(BackfillJobRequestSchema, request) };
  const earlier = request.dryRun ? undefined : await findEarlierUse(parts.database, use);
  if (earlier !== undefined) return getOperation(parts, projectId, earlier.operation_uid ?? "");
  const range = readRange(request, nowMs);
  const row = await readJob(parts, projectId, request);
  const items = await planItems(parts, row, range, request.force);
  const count = (...verdicts: BackfillVerdict[]) =>
    items.filter(({ verdict }) => verdicts.includes(verdict)).length;
  const counts = {
    fire_time_count: items.length,
    outside_calendar_count: count("OUTSIDE_CALENDAR"),
    succeeded_count: count("SUCCEEDED"),
    active_count: count("ACTIVE"),
    trigger_count: count("TRIGGER", "REDELIVER"),
  };
  const maxPerSecond = request.maxPerSecond === 0 ? DEFAULT_PER_SECOND : request.maxPerSecond;
  if (request.dryRun) return dryOperation(row, range, { counts, maxPerSecond, force: request.force, nowMs });
  const uid = typeid("op").toString();
  const values = [
    uid,
    projectId,
    row.uid,
    row.revision,
    toSqlTime(range.startMs),
    toSqlTime(range.endMs),
    request.force,
    maxPerSecond,
    counts.fire_time_count,
    counts.outside_calendar_count,
    counts.succeeded_count,
    counts.active_count,
    counts.trigger_count,
    toSqlTime(nowMs),
  ];
  const isFirst = await parts.database.transaction(async (tx) => {
    if (!(await rememberUse(tx, use, { jobUid: row.uid, operationUid: uid, nowMs }))) return false;
    await tx.query(operationInsert, values);
    return true;
  });
  return isFirst ? getOperation(parts, projectId, uid) : backfillJob(parts, projectId, request);
}

function readRange(request: BackfillJobRequest, nowMs: number): Range {
  const startMs = request.startTime === undefined ? 0 : timestampMs(request.startTime);
  const endMs = request.endTime === undefined ? 0 : timestampMs(request.endTime);
  const [start, end] = [startMs, endMs].map((ms) => new Date(ms).toISOString());
  if (endMs <= startMs)
    throw fieldFailure("FIELD_INVALID", "endTime", `${end} is not later than startTime, ${start}.`);
  if (endMs > nowMs) {
    const now = new Date(nowMs).toISOString();
    throw fieldFailure(
      "FIELD_INVALID",
      "endTime",
      `${end} is later than now, ${now}; what is to come fires by itself.`,
    );
  }
  const days = (endMs - startMs) / 86_400_000;
  if (days > MAX_RANGE_DAYS) {
    const problem = `From ${start} to ${end} are ${Math.ceil(days)} days; at most ${MAX_RANGE_DAYS} are taken.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  return { startMs, endMs };
}

async function planItems(parts: Parts, row: JobRow, range: Range, force: boolean): Promise<BackfillItem[]> {
  const schedule = parts.schedules.of(row);
  const { startMs, endMs } = range;
  const limit = MAX_BACKFILL_FIRE_TIMES + 1;
  const fireTimes = fireTimesBetween(schedule, { afterMs: startMs - 1, endMs }, limit);
  if (fireTimes.length === limit) {
    const last = new Date(fireTimes.at(-2) ?? endMs).toISOString();
    const problem = `The range has more than ${MAX_BACKFILL_FIRE_TIMES} fire times; the last of these is ${last}.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  const gates = await gatesOf(parts.database, parts.zoneData, row.project_id, schedule.calendars);
  const states = await statesOf(parts.database, row, fireTimes);
  return planBackfill({ gates, states, force, isUndecided: (atMs) => isUndecided(row, atMs) }, fireTimes);
}

/** The state of each trigger that there is at these fire times, which are in order. */
export async function statesOf(
  on: Queryable,
  job: { readonly project_id: string; readonly uid: string },
  fireTimes: readonly number[],
): Promise<Map<number, string>> {
  const [first, last] = [fireTimes[0], fireTimes.at(-1)];
  if (first === undefined || last === undefined) return new Map();
  // Fire times of earlier revisions may lie between.
  const most = 2 * MAX_BACKFILL_FIRE_TIMES;
  const values = [job.project_id, job.uid, toSqlTime(first), toSqlTime(last), most];
  const rows = await on.query(backfillTriggers, values);
  return new Map(rows.map(({ fire_time, state }) => [fire_time, state]));
}

interface DryRun {
  readonly counts: {
    readonly fire_time_count: number;
    readonly outside_calendar_count: number;
    readonly succeeded_count: number;
    readonly active_count: number;
    readonly trigger_count: number;
  };
  readonly maxPerSecond: number;
  readonly force: boolean;
  readonly nowMs: number;
}

function dryOperation(row: JobRow, range: Range, { counts, maxPerSecond, force, nowMs }: DryRun): Operation {
  const operation = toOperation({
    uid: "",
    project_id: row.project_id,
    job_uid: row.uid,
    job_name: row.name,
    state: "SUCCEEDED",
    revision: row.revision,
    start_time: range.startMs,
    end_time: range.endMs,
    force,
    max_per_second: maxPerSecond,
    ...counts,
    done_count: 0,
    last_fire_time: null,
    error: "",
    create_time: nowMs,
    finish_time: nowMs,
  });
  if (operation.metadata !== undefined) operation.metadata.dryRun = true;
  return operation;
}
