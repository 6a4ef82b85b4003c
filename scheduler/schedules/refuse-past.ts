import { create, equals } from "@bufbuild/protobuf";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";

/** A job that a request wants, checked and with its defaults, and its schedule. */
interface Wanted {
  readonly job: Job;
  readonly schedule: CompiledSchedule;
}

/**
 * Refuses a job that has only `once` schedules and all of them in the past: it would be FINISHED without ever firing. A
 * recurring job whose end is in the past is accepted, because backfills may need it. An update (`before` is the job as
 * it was) is refused only if it changes the schedules. Throws SCHEDULE_NEVER_FIRES, naming the field, the instant and
 * `nowMs`.
 */
export function refusePast({ job, schedule }: Wanted, nowMs: number, before?: Job): void {
  const lastMs = lastOfOnce(schedule);
  if (lastMs === undefined || lastMs > nowMs || isSameWhen(job, before)) return;
  const value = Number.isFinite(lastMs) ? toIso(lastMs) : "";
  const problem =
    value === ""
      ? "The job would never fire: none of its local times exists in its time zone; accepted: at least one that exists."
      : `The job would never fire: "${value}", the last of its times, is in the past (it is now ${toIso(nowMs)}); accepted: a later instant.`;
  throw fieldFailure("SCHEDULE_NEVER_FIRES", "job.schedules", problem, { value });
}

// Returns the last instant of a job with only `once` schedules, -Infinity when they have none; undefined for other jobs.
function lastOfOnce({ plan: { schedules } }: CompiledSchedule): number | undefined {
  const times = schedules.flatMap((each) => (each.kind === "once" ? [each.timesMs] : []));
  return schedules.length === 0 || times.length < schedules.length ? undefined : Math.max(...times.flat());
}

function isSameWhen({ schedules }: Job, before: Job | undefined): boolean {
  if (before === undefined) return false;
  const only = (each: Job["schedules"]) => create(JobSchema, { schedules: each });
  return equals(JobSchema, only(schedules), only(before.schedules));
}
