import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  AfterCompletion,
  type Job,
  MisfirePolicy,
  Outside,
  OverlapPolicy,
} from "../../gen/easycron/v1/job_pb.ts";
import type { CalendarReference } from "../calendars/calendars.ts";

/** Most fire times that may wait with BUFFER_ALL. */
const BUFFER_ALL_ROOM = 1_000;

/** How a job treats fire times that are late, that overlap, or that exceed a limit. */
export interface Policies {
  /** Most scheduled triggers in the life of the job; 0 means no limit. */
  readonly maxFires: number;
  /** Which late fire times are caught up after an outage. */
  readonly misfire: "FIRE_ALL" | "FIRE_LATEST" | "SKIP";
  /** A fire time that is later than this is not caught up. */
  readonly catchupWindowMs: number;
  /** Most late fire times that are caught up after one outage, with FIRE_ALL. */
  readonly maxCatchup: number;
  /** What happens to a fire time while an earlier trigger is unfinished. */
  readonly overlap: "ALLOW_ALL" | "SKIP" | "BUFFER";
  /** Most fire times that may wait for an earlier trigger; 0 unless `overlap` is BUFFER. */
  readonly bufferRoom: number;
  /** Whether the job is deleted after it has fired for the last time. */
  readonly deleteFinished: boolean;
}

/** The default of `catchupWindow`. */
export const DEFAULT_CATCHUP_WINDOW_MS = 3_600_000;
/** The default of `maxCatchup`. */
export const DEFAULT_MAX_CATCHUP = 100;

/** The fields of a job that decide its policies. */
export type PolicyFields = Pick<
  Job,
  "maxFires" | "misfirePolicy" | "catchupWindow" | "maxCatchup" | "overlapPolicy" | "afterCompletion"
>;

/** Reads a job's policies. Fields that are not set get their defaults. */
export function readPolicies(job: PolicyFields): Policies {
  return {
    maxFires: job.maxFires,
    misfire: misfireOf(job.misfirePolicy),
    catchupWindowMs:
      job.catchupWindow === undefined ? DEFAULT_CATCHUP_WINDOW_MS : durationMs(job.catchupWindow),
    maxCatchup: job.maxCatchup === 0 ? DEFAULT_MAX_CATCHUP : job.maxCatchup,
    ...overlapOf(job.overlapPolicy),
    deleteFinished: job.afterCompletion === AfterCompletion.DELETE,
  };
}

function misfireOf(policy: MisfirePolicy): Policies["misfire"] {
  if (policy === MisfirePolicy.SKIP) return "SKIP";
  return policy === MisfirePolicy.FIRE_LATEST ? "FIRE_LATEST" : "FIRE_ALL";
}

function overlapOf(policy: OverlapPolicy): Pick<Policies, "overlap" | "bufferRoom"> {
  if (policy === OverlapPolicy.SKIP) return { overlap: "SKIP", bufferRoom: 0 };
  if (policy === OverlapPolicy.BUFFER_ONE) return { overlap: "BUFFER", bufferRoom: 1 };
  if (policy === OverlapPolicy.BUFFER_ALL) return { overlap: "BUFFER", bufferRoom: BUFFER_ALL_ROOM };
  return { overlap: "ALLOW_ALL", bufferRoom: 0 };
}

/** Reads a job's references to calendars. */
export function readCalendarReferences(job: Pick<Job, "calendars">): CalendarReference[] {
  return job.calendars.map(({ name, outside }) => ({
    name,
    outside: outside === Outside.DEFER ? "DEFER" : "SKIP",
  }));
}
