import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  AfterCompletion,
  type Job,
  MisfirePolicy,
  Outside,
  OverlapPolicy,
} from "../../gen/easycron/v1/job_pb.ts";
import type { CalendarReference } from "../calendars/calendars.ts";

/** How many fire times may wait with BUFFER_ALL. */
const BUFFER_ALL_ROOM = 1_000;

/** What a job wants done with fire times that are late, that overlap, or that are too many. */
export interface Policies {
  /** How many scheduled triggers in all; 0 means no limit. */
  readonly maxFires: number;
  readonly misfire: "FIRE_ALL" | "FIRE_LATEST" | "SKIP";
  readonly catchupWindowMs: number;
  readonly maxCatchup: number;
  readonly overlap: "ALLOW_ALL" | "SKIP" | "BUFFER";
  /** How many fire times may wait for an earlier trigger. */
  readonly bufferRoom: number;
  /** Whether the job is deleted when it has fired for the last time. */
  readonly deleteFinished: boolean;
}

/** How long a fire time may be late and still be made up for when a job does not say. */
export const DEFAULT_CATCHUP_WINDOW_MS = 3_600_000;
/** How many are made up for when a job does not say. */
export const DEFAULT_MAX_CATCHUP = 100;

/** The part of a job that says what to do when time is not kept. */
export type PolicyFields = Pick<
  Job,
  "maxFires" | "misfirePolicy" | "catchupWindow" | "maxCatchup" | "overlapPolicy" | "afterCompletion"
>;

/** Reads a job's policies; what is not said has its default. */
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

/** The calendars that a job refers to. */
export function readCalendarReferences(job: Pick<Job, "calendars">): CalendarReference[] {
  return job.calendars.map(({ name, outside }) => ({
    name,
    outside: outside === Outside.DEFER ? "DEFER" : "SKIP",
  }));
}
