import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Job, JobSchema, JobState } from "../../gen/easycron/v1/job_pb.ts";
import { dropSnapshots, shareSnapshots } from "../calendars/edges.ts";
import type { Carry } from "./carry.ts";

/** Whether a job fires, as PostgreSQL spells it. */
export type JobStateName = "ACTIVE" | "PAUSED" | "FINISHED" | "DELETED";

/** A row of scheduler.jobs with the specification in force. Times are epoch milliseconds. */
export interface JobRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly state: JobStateName;
  readonly revision: number;
  /** Raised by every change; what was handed over under an older one is no longer wanted. */
  readonly epoch: number;
  /** The cursor: first fire time not yet decided. */
  readonly next_fire_time: number | null;
  /** When a scheduler is to look at the job. */
  readonly wake_time: number | null;
  /** The fire times of the present epoch are later than this. */
  readonly after_time: number;
  readonly carry: Partial<Carry>;
  readonly pause_until: number | null;
  readonly last_fire_time: number | null;
  readonly last_seq: number;
  readonly pause_note: string;
  readonly create_time: number;
  readonly update_time: number;
  /** The revision's specification as proto3 JSON text. */
  readonly spec: string;
  /** The release of the zone database by which the revision's fire times are computed. */
  readonly zone_data: string;
}

/** A job's row without what its revision says. */
export type TurnRow = Omit<JobRow, "spec" | "zone_data">;

const STATES: Readonly<Record<JobStateName, JobState>> = {
  ACTIVE: JobState.ACTIVE,
  PAUSED: JobState.PAUSED,
  FINISHED: JobState.FINISHED,
  DELETED: JobState.DELETED,
};

/** The specification that a revision keeps: the customer's fields, and nothing that is output only. */
export function toSpecJson(job: Job): string {
  const spec = create(JobSchema, {
    schedules: job.schedules,
    retryPolicy: job.retryPolicy,
    attemptTimeout: job.attemptTimeout,
    labels: job.labels,
    calendars: job.calendars,
    maxFires: job.maxFires,
    misfirePolicy: job.misfirePolicy,
    maxCatchup: job.maxCatchup,
    overlapPolicy: job.overlapPolicy,
    afterCompletion: job.afterCompletion,
    ...(job.catchupWindow === undefined ? {} : { catchupWindow: job.catchupWindow }),
    ...(job.flexibleWindow === undefined ? {} : { flexibleWindow: job.flexibleWindow }),
    ...(job.startTime === undefined ? {} : { startTime: job.startTime }),
    ...(job.endTime === undefined ? {} : { endTime: job.endTime }),
    ...(job.target === undefined ? {} : { target: job.target }),
    ...(job.payload === undefined ? {} : { payload: job.payload }),
  });
  return toJsonString(JobSchema, spec);
}

/** Reads what `toSpecJson` wrote. A field that this version does not know is passed over. */
export function fromSpecJson(spec: string): Job {
  const job = fromJsonString(JobSchema, spec, { ignoreUnknownFields: true });
  // Older revisions have a calendar whole in every schedule.
  shareSnapshots(job);
  return job;
}

/** Names the present state of a job; differs after every change, and between two jobs that had the same name. */
export function etagOf(row: Pick<JobRow, "uid" | "epoch">): string {
  return `${row.uid.slice(-6)}-${row.epoch}`;
}

/** The job as customers see it, at `nowMs`. `nextFireTimeMs` is the first fire time later than now, not the cursor. */
export function toJob(row: JobRow, nextFireTimeMs: number | null, nowMs: number): Job {
  const job = fromSpecJson(row.spec);
  dropSnapshots(job);
  const state = stateAt(row, nowMs);
  job.name = row.name;
  job.uid = row.uid;
  job.state = STATES[state];
  job.revision = row.revision;
  job.etag = etagOf(row);
  job.createTime = timestampFromMs(row.create_time);
  job.updateTime = timestampFromMs(row.update_time);
  if (job.maxFires > 0) job.remainingFires = Math.max(0, job.maxFires - row.last_seq);
  if (state === "PAUSED") {
    job.pauseNote = row.pause_note;
    if (row.pause_until !== null) job.pauseUntil = timestampFromMs(row.pause_until);
  }
  if (nextFireTimeMs !== null) job.nextFireTime = timestampFromMs(nextFireTimeMs) as Timestamp;
  return job;
}

/** The state of a job at an instant: a pause that ends by itself is taken back a little before its end. */
export function stateAt(row: Pick<JobRow, "state" | "pause_until">, nowMs: number): JobStateName {
  return row.state === "ACTIVE" && row.pause_until !== null && row.pause_until > nowMs ? "PAUSED" : row.state;
}
