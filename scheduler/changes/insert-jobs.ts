import { isUniqueViolation, type Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { currentCall } from "../../mesh/current-call.ts";
import { listedFacets, toFacetsJson } from "../job/facets.ts";
import type { JobRow, JobStateName } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import type { RequestUse } from "../requests/request-id.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { CheckedSpec } from "./check-spec.ts";
import { jobsInsert } from "./insert-jobs.sql.ts";

/** A checked job that is to be created. */
export interface NewJob {
  readonly uid: string;
  readonly checked: CheckedSpec;
  /** The request that creates this job alone, if it has an id. */
  readonly use?: RequestUse;
}

/** Where and when jobs are created, and the id of the API key that does it. */
export interface Creation {
  readonly projectId: string;
  readonly actor: string;
  readonly now: number;
}

/**
 * Inserts new jobs by one statement, so all or none, and returns their rows in the given order. A job whose request id
 * was used before gets undefined. Throws an error that `isNameTaken` knows when a job with one of the names exists.
 */
export async function insertJobs(
  on: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  to: Creation,
  jobs: readonly NewJob[],
): Promise<(JobRow | undefined)[]> {
  const rows = jobs.map(({ uid, checked }) => newRow(parts, { ...to, uid }, checked));
  const listed = jobs.flatMap(({ uid, checked }) =>
    listedFacets(checked.job).map((facet) => ({ uid, ...facet })),
  );
  const inserted = await on.query(jobsInsert, [
    to.projectId,
    toSqlTime(to.now),
    to.actor,
    rows.map(({ uid }) => uid),
    rows.map(({ name }) => name),
    rows.map(({ state }) => state),
    rows.map((row) => toSqlTimeOrNull(row.next_fire_time)),
    rows.map((row) => toSqlTimeOrNull(row.wake_time)),
    jobs.map(({ checked }) => checked.schedule.policies.deleteFinished),
    rows.map(({ spec }) => spec),
    rows.map((row) => row.zone_data),
    jobs.map(({ checked }) => toFacetsJson(checked.job)),
    jobs.map(({ use }) => use?.requestId ?? ""),
    jobs.map(({ use }) => use?.fingerprint.toString("hex") ?? ""),
    listed.map(({ uid }) => uid),
    listed.map(({ facet }) => facet),
    listed.map(({ value }) => value),
    currentCall()?.traceparent ?? null,
  ]);
  if (inserted.length === rows.length) return rows;
  const uids = new Set(inserted.map(({ uid }) => uid));
  return rows.map((row) => (uids.has(row.uid) ? row : undefined));
}

/** Whether `insertJobs` has failed because a job of the project has one of the names. */
export function isNameTaken(error: unknown): boolean {
  return isUniqueViolation(error, "jobs_live_name");
}

/** Returns the row of a job in its first revision. */
export function newRow(
  parts: Pick<Parts, "lookAheadMs">,
  { uid, projectId, now }: { readonly uid: string; readonly projectId: string; readonly now: number },
  { job, spec, schedule }: CheckedSpec,
): JobRow {
  const { state, cursorMs } = initialState(schedule, now);
  // With calendars or an overlap policy, the time to decide the first fire time can be another one. So the first turn
  // is taken at once and finds it.
  const isPlain = schedule.calendars.length === 0 && schedule.policies.overlap === "ALLOW_ALL";
  const wakeMs = cursorMs === null ? null : isPlain ? Math.max(now, cursorMs - parts.lookAheadMs) : now;
  return {
    uid,
    project_id: projectId,
    name: job.name,
    state,
    revision: 1,
    epoch: 1,
    next_fire_time: cursorMs,
    wake_time: wakeMs,
    after_time: now,
    carry: {},
    pause_until: null,
    last_fire_time: null,
    last_seq: 0,
    pause_note: "",
    disable_reason: null,
    create_time: now,
    update_time: now,
    spec,
    zone_data: schedule.zoneData,
  };
}

function initialState(
  schedule: CompiledSchedule,
  nowMs: number,
): { state: JobStateName; cursorMs: number | null } {
  const cursorMs = schedule.nextAfter(nowMs);
  const isFinished = cursorMs === null && schedule.plan.schedules.length > 0;
  return { state: isFinished ? "FINISHED" : "ACTIVE", cursorMs };
}
