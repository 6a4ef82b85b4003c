import { create, equals } from "@bufbuild/protobuf";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";

/** A job as it is to be, checked and with its defaults. */
interface Wanted {
  readonly job: Job;
  readonly schedule: CompiledSchedule;
}

/**
 * Refuses a job with `once` schedules alone, of which all lie in the past: it would be FINISHED without having fired. A
 * recurring one whose end lies in the past is for backfills. Of a job that is there already (`before`) only what changes
 * is judged. Throws SCHEDULE_NEVER_FIRES, naming the field, the instant and `nowMs`.
 */
export function refusePast({ job, schedule }: Wanted, nowMs: number, before?: Job): void {
  const now = new Date(nowMs).toISOString();
  const lastMs = lastOfOnce(schedule);
  if (lastMs === undefined || lastMs > nowMs || isSameWhen(job, before)) return;
  const value = Number.isFinite(lastMs) ? new Date(lastMs).toISOString() : "";
  const problem =
    value === ""
      ? "Its local times do not exist in their zones; accepted: at least one that does."
      : `"${value}" is the last of its times, and in the past: it is now ${now}; accepted: a later instant.`;
  throw fieldFailure("SCHEDULE_NEVER_FIRES", "job.schedules", problem, { value });
}

// The last instant of a job of `once` schedules alone, -Infinity when they have none; undefined for any other.
function lastOfOnce({ plan: { schedules } }: CompiledSchedule): number | undefined {
  const times = schedules.flatMap((each) => (each.kind === "once" ? [each.timesMs] : []));
  return schedules.length === 0 || times.length < schedules.length ? undefined : Math.max(...times.flat());
}

function isSameWhen({ schedules }: Job, before: Job | undefined): boolean {
  if (before === undefined) return false;
  const only = (each: Job["schedules"]) => create(JobSchema, { schedules: each });
  return equals(JobSchema, only(schedules), only(before.schedules));
}
