import { create, fromJson, fromJsonString, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Job, JobSchema, JobState } from "../../gen/easycron/v1/job_pb.ts";
import { dropSnapshots, shareSnapshots } from "../calendars/edges.ts";
import type { Timing } from "../schedules/compiled-schedule.ts";
import { type Carry, readCarry } from "./carry.ts";
import { type StoredDisableReason, toDisableReason } from "./disable-reason.ts";
import { dropSecrets } from "./secrets.ts";

/** The state of a job, as PostgreSQL spells it. */
export type JobStateName = "ACTIVE" | "PAUSED" | "DISABLED" | "FINISHED" | "DELETED";

/** A row of scheduler.jobs with the specification of its current revision. Times are epoch milliseconds. */
export interface JobRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly state: JobStateName;
  readonly revision: number;
  /** Every change adds one. The dispatcher refuses events of an older epoch. */
  readonly epoch: number;
  /** The cursor: the first undecided fire time; null when there is none. */
  readonly next_fire_time: number | null;
  /** When a scheduler must look at the job next; null for never. */
  readonly wake_time: number | null;
  /** All fire times of the current epoch are later than this. */
  readonly after_time: number;
  readonly carry: Partial<Carry>;
  /** When the pause ends by itself; null when it does not. */
  readonly pause_until: number | null;
  /** The last fire time that made a trigger; null when none has. */
  readonly last_fire_time: number | null;
  /** The sequence number of that trigger: how many scheduled triggers the job has made. */
  readonly last_seq: number;
  readonly pause_note: string;
  /** Why EasyCron has paused or disabled the job; null if it has not. */
  readonly disable_reason: StoredDisableReason | null;
  readonly create_time: number;
  readonly update_time: number;
  /** The specification of the revision, as proto3 JSON text of easycron.v1.Job. */
  readonly spec: string;
  /** The zone data version that the revision's fire times are computed with. */
  readonly zone_data: string;
}

/** A job's row without the columns of its revision. */
export type TurnRow = Omit<JobRow, "spec" | "zone_data">;

const TIMES = [
  "next_fire_time",
  "wake_time",
  "after_time",
  "pause_until",
  "last_fire_time",
  "create_time",
  "update_time",
] as const satisfies readonly (keyof TurnRow)[];

/** Checks that a turn can use what a row holds. Throws an error that names the first column that it cannot. */
export function checkTurnRow(row: TurnRow): void {
  for (const column of TIMES) {
    if (Number.isNaN(row[column]))
      throw new Error(`${column} in scheduler.jobs is not a time that a Date can hold.`);
  }
  readCarry(row.carry);
}

const STATES: Readonly<Record<JobStateName, JobState>> = {
  ACTIVE: JobState.ACTIVE,
  PAUSED: JobState.PAUSED,
  DISABLED: JobState.DISABLED,
  FINISHED: JobState.FINISHED,
  DELETED: JobState.DELETED,
};

/** Returns the specification that a revision stores, as proto3 JSON text. */
export function toSpecJson(job: Job): string {
  return toJsonString(JobSchema, toSpec(job));
}

/**
 * Returns the specification of a job: the customer's fields, without the name and the output-only ones. It shares its
 * parts with the job.
 */
export function toSpec(job: Job): Job {
  return create(JobSchema, {
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
    ordering: job.ordering,
    ...(job.autoDisable === undefined ? {} : { autoDisable: job.autoDisable }),
    ...(job.catchupWindow === undefined ? {} : { catchupWindow: job.catchupWindow }),
    ...(job.flexibleWindow === undefined ? {} : { flexibleWindow: job.flexibleWindow }),
    ...(job.startTime === undefined ? {} : { startTime: job.startTime }),
    ...(job.endTime === undefined ? {} : { endTime: job.endTime }),
    ...(job.acknowledgement === undefined ? {} : { acknowledgement: job.acknowledgement }),
    ...(job.target === undefined ? {} : { target: job.target }),
    ...(job.flow === undefined ? {} : { flow: job.flow }),
    ...(job.alerts === undefined ? {} : { alerts: job.alerts }),
    ...payloadOf(job),
  });
}

/**
 * Returns the payload of a job or of a manual run as the scheduler keeps it: as JSON text, which has all digits of its
 * numbers. The gateway sends it as text. Revisions of older versions have it as a value.
 */
export function payloadOf(holder: Pick<Job, "payload" | "payloadJson">): { payloadJson?: string } {
  if (holder.payloadJson !== undefined) return { payloadJson: holder.payloadJson };
  return holder.payload === undefined ? {} : { payloadJson: toJsonString(ValueSchema, holder.payload) };
}

/**
 * Reads what `toSpecJson` wrote. The payload is in `payloadJson`, whoever wrote it. Fields that this version does not
 * know are ignored.
 */
export function fromSpecJson(spec: string): Job {
  const job = fromJsonString(JobSchema, spec, { ignoreUnknownFields: true });
  Object.assign(job, payloadOf(job));
  delete job.payload;
  // Older revisions hold a full copy of the calendar in every schedule.
  shareSnapshots(job);
  return job;
}

const TIMING: ReadonlySet<string> = new Set<keyof Timing>([
  "schedules",
  "startTime",
  "endTime",
  "flexibleWindow",
  "calendars",
  "maxFires",
  "misfirePolicy",
  "catchupWindow",
  "maxCatchup",
  "overlapPolicy",
  "afterCompletion",
]);

/**
 * Reads what decides when a job fires from what `toSpecJson` wrote, and nothing else: the rest is the larger part. With
 * more jobs than a schedule cache holds, a specification is read for each trigger. Throws an error when it cannot be
 * read.
 */
export function fromSpecJsonTiming(spec: string): Timing {
  const whole: JsonValue = JSON.parse(spec);
  if (typeof whole !== "object" || whole === null || Array.isArray(whole)) {
    throw new Error("The specification is not a JSON object.");
  }
  const timing = Object.fromEntries(Object.entries(whole).filter(([name]) => TIMING.has(name)));
  const job = fromJson(JobSchema, timing, { ignoreUnknownFields: true });
  shareSnapshots(job);
  return job;
}

/** Returns the etag of a job. It differs after every change, and between two jobs that had the same name. */
export function etagOf(row: Pick<JobRow, "uid" | "epoch">): string {
  return `${row.uid.slice(-6)}-${row.epoch}`;
}

/**
 * Returns the job as customers see it at `nowMs`. `nextFireTimeMs` is its first fire time after now, not the cursor. The
 * specification is read from the row unless it is given in `job`, which is then changed and returned. If it cannot be
 * read, the fields of the specification are empty.
 */
export function toJob(
  row: JobRow,
  nextFireTimeMs: number | null,
  nowMs: number,
  job = readSpecOrNone(row.spec),
): Job {
  dropSnapshots(job);
  dropSecrets(job);
  const state = stateAt(row, nowMs);
  job.name = row.name;
  job.uid = row.uid;
  job.state = STATES[state];
  job.revision = row.revision;
  job.etag = etagOf(row);
  job.createTime = timestampFromMs(row.create_time);
  job.updateTime = timestampFromMs(row.update_time);
  if (job.maxFires > 0) job.remainingFires = Math.max(0, job.maxFires - row.last_seq);
  if (isHalted(state)) {
    job.pauseNote = row.pause_note;
    if (row.disable_reason !== null) job.disableReason = toDisableReason(row.disable_reason);
    if (row.pause_until !== null) job.pauseUntil = timestampFromMs(row.pause_until);
  }
  if (nextFireTimeMs !== null) job.nextFireTime = timestampFromMs(nextFireTimeMs) as Timestamp;
  return job;
}

/** Reads a specification like `fromSpecJson`. One that cannot be read gives a job without a specification. */
export function readSpecOrNone(spec: string): Job {
  try {
    return fromSpecJson(spec);
  } catch {
    return create(JobSchema);
  }
}

/** Whether fire times are skipped in a state that ends by ResumeJob. */
export function isHalted(state: JobStateName): state is "PAUSED" | "DISABLED" {
  return state === "PAUSED" || state === "DISABLED";
}

/**
 * Returns the state of a job at an instant. A pause that ends by itself is ended in the row within the look-ahead, so
 * the row says ACTIVE a little before the end of the pause; until then the job still is PAUSED.
 */
export function stateAt(row: Pick<JobRow, "state" | "pause_until">, nowMs: number): JobStateName {
  return row.state === "ACTIVE" && row.pause_until !== null && row.pause_until > nowMs ? "PAUSED" : row.state;
}
