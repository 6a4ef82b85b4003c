import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type PreviewedFireTime, previewFireTimes } from "../cron/preview.ts";
import { type Job, WarningCode } from "../gen/easycron/v1/job_pb.ts";
import type { FireTimeSchema } from "../gen/easycron/v1/schedule_pb.ts";
import type {
  PreviewScheduleRequest,
  PreviewScheduleResponseSchema,
} from "../gen/easycron/v1/schedule_service_pb.ts";
import { withSnapshots } from "./calendars-edges.ts";
import { type CompiledSchedule, compileSchedule } from "./compiled-schedule.ts";
import { fromSpecJson } from "./job.ts";
import { withDefaults } from "./job-defaults.ts";
import { knownOf } from "./known-of.ts";
import type { Parts } from "./parts.ts";
import { readJob } from "./read-jobs.ts";
import { warningsOf } from "./warnings.ts";

const DEFAULT_COUNT = 10;

/**
 * The next fire times of a saved or an unsaved job, by the code that fires them, without side effects. Throws
 * JOB_NOT_FOUND, CALENDAR_NOT_FOUND, SCHEDULE_INVALID, TIME_ZONE_UNKNOWN. One that never fires gives none, and a warning.
 */
export async function previewSchedule(
  parts: Parts,
  projectId: string,
  request: PreviewScheduleRequest,
): Promise<MessageInitShape<typeof PreviewScheduleResponseSchema>> {
  const { job, schedule, firedCount } = await scheduleSource(parts, projectId, request.source);
  const count = request.count === 0 ? DEFAULT_COUNT : request.count;
  const afterMs = request.after === undefined ? parts.clock.now() : timestampMs(request.after);
  const known = await knownOf(parts, projectId, schedule);
  const previewed = previewFireTimes({ ...schedule.plan, gates: known.gates }, afterMs, count);
  // How often it has fired says nothing of a view into the past.
  const limited = schedule.policies.maxFires > 0 && afterMs >= parts.clock.now();
  const left = limited ? schedule.policies.maxFires - firedCount : Number.POSITIVE_INFINITY;
  const fireTimes = firstToFire(previewed, left).map(toFireTime);
  const warnings = warningsOf(schedule, job, afterMs, { ...known, firesLeft: left });
  if (fireTimes.length === 0 && !warnings.some(({ code }) => code === WarningCode.NEVER_FIRES)) {
    const message = "The job has no fire time after the given instant.";
    warnings.push({ code: WarningCode.NEVER_FIRES, field: "job.schedules", message });
  }
  return { fireTimes, warnings };
}

/** Those up to the one that is the last to fire; what a calendar skips does not count. */
function firstToFire(previewed: readonly PreviewedFireTime[], most: number): PreviewedFireTime[] {
  let left = most;
  return previewed.filter(({ effectiveMs }) => {
    const exists = left > 0;
    if (effectiveMs !== null) left -= 1;
    return exists;
  });
}

/** The specification that a request names or carries. Throws JOB_NOT_FOUND, or what compiling it does. */
export async function scheduleSource(
  parts: Parts,
  projectId: string,
  source: PreviewScheduleRequest["source"],
): Promise<{ job: Job; schedule: CompiledSchedule; firedCount: number }> {
  if (source.case === "job") {
    const given = await withSnapshots(parts.database, projectId, source.value);
    const nowMs = parts.clock.now();
    const job = withDefaults(given, nowMs);
    const options = { allowNeverFiring: true, zoneData: parts.zoneData.inForce(nowMs) };
    return { job, schedule: compileSchedule(job, "", options), firedCount: 0 };
  }
  const row = await readJob(parts, projectId, { name: source.value ?? "" });
  const schedule = parts.schedules.of(row);
  return { job: fromSpecJson(row.spec), schedule, firedCount: row.last_seq };
}

function toFireTime(fireTime: PreviewedFireTime): MessageInitShape<typeof FireTimeSchema> {
  const { nominalMs, effectiveMs, localTime, utcOffset, notes } = fireTime;
  return {
    nominalTime: timestampFromMs(nominalMs),
    ...(effectiveMs === null ? {} : { effectiveTime: timestampFromMs(effectiveMs) }),
    localTime,
    utcOffset,
    notes: notes.map(({ text }) => text),
  };
}
