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
import { toIso } from "../../mesh/iso-time.ts";
import { gatesOf } from "../calendars/calendars.ts";
import type { JobRow } from "../job/job.ts";
import { isUndecided } from "../job/undecided.ts";
import { outOfRetention, readFloor } from "../ledger/floor.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { findEarlierUse, fingerprintOf, rememberUse } from "../requests/request-id.ts";
import { backfillTriggers, operationInsert } from "./operations.sql.ts";
import { getOperation, toOperation } from "./operations.ts";
import { type BackfillItem, type BackfillVerdict, fireTimesBetween, planBackfill } from "./plan.ts";

/** The most fire times of one backfill. */
export const MAX_BACKFILL_FIRE_TIMES = 100_000;
/** The longest range of one backfill, in days: ten years. */
const MAX_RANGE_DAYS = 3_653;
const DEFAULT_PER_SECOND = 100;

/** What starting a backfill takes. */
type BackfillParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Starts a backfill and returns its operation. With `dryRun` it only counts the fire times.
 *
 * A repeated request id returns the same operation. Throws JOB_NOT_FOUND; REQUEST_ID_REUSED for a request id that was
 * used with another request; FIELD_INVALID for a range that ends before it starts, ends later than now, is longer than
 * ten years, or holds more than 100,000 fire times; OUT_OF_RETENTION for a range that begins before the floor of the project,
 * because a trigger of it may have been delivered and removed.
 */
export async function backfillJob(
  parts: BackfillParts,
  projectId: string,
  request: BackfillJobRequest,
): Promise<Operation> {
  const nowMs = parts.clock.now();
  const { requestId } = request;
  const use = { projectId, requestId, fingerprint: fingerprintOf(BackfillJobRequestSchema, request) };
  const earlier = request.dryRun ? undefined : await findEarlierUse(parts.database, use);
  if (earlier !== undefined) return getOperation(parts, projectId, earlier.operation_uid ?? "");
  const range = readRange(request, nowMs);
  const floorMs = await readFloor(parts.database, projectId);
  if (range.startMs < floorMs) throw outOfRetention("startTime", range.startMs, floorMs);
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
  const [start, end] = [toIso(startMs), toIso(endMs)];
  if (endMs <= startMs) {
    const problem = `It is ${end}. It must be later than startTime (${start}).`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  if (endMs > nowMs) {
    const problem = `It is ${end}. It must not be later than now (${toIso(nowMs)}); later fire times fire by themselves.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  const days = (endMs - startMs) / 86_400_000;
  if (days > MAX_RANGE_DAYS) {
    const problem = `It is ${end}, ${Math.ceil(days)} days after startTime (${start}). A backfill may span at most ${MAX_RANGE_DAYS} days; split it.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  return { startMs, endMs };
}

async function planItems(
  parts: Pick<Parts, "database" | "schedules" | "zoneData">,
  row: JobRow,
  range: Range,
  force: boolean,
): Promise<BackfillItem[]> {
  const schedule = parts.schedules.of(row);
  const { startMs, endMs } = range;
  const limit = MAX_BACKFILL_FIRE_TIMES + 1;
  const fireTimes = fireTimesBetween(schedule, { afterMs: startMs - 1, endMs }, limit);
  if (fireTimes.length === limit) {
    const last = toIso(fireTimes.at(-2) ?? endMs);
    const problem = `It is ${toIso(endMs)}. The range has more than ${MAX_BACKFILL_FIRE_TIMES} fire times, the most of one backfill; end it right after ${last} and backfill the rest separately.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  const gates = await gatesOf(parts.database, parts.zoneData, row.project_id, schedule.calendars);
  const states = await readTriggerStates(parts.database, row, fireTimes);
  return planBackfill({ gates, states, force, isUndecided: (atMs) => isUndecided(row, atMs) }, fireTimes);
}

/** Returns the state of each existing trigger at these fire times, by fire time. The fire times must be in order. */
export async function readTriggerStates(
  on: Queryable,
  job: { readonly project_id: string; readonly uid: string },
  fireTimes: readonly number[],
): Promise<Map<number, string>> {
  const [first, last] = [fireTimes[0], fireTimes.at(-1)];
  if (first === undefined || last === undefined) return new Map();
  // There may be triggers of earlier revisions between them.
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
    kind: "BACKFILL",
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
    left_out_count: 0,
    trigger_state: null,
    last_fire_time: null,
    last_trigger_id: null,
    error: "",
    create_time: nowMs,
    finish_time: nowMs,
  });
  if (operation.metadata !== undefined) operation.metadata.dryRun = true;
  return operation;
}
