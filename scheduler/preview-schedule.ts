import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatLocal, formatOffset } from "../cron/local-time.ts";
import { offsetAt } from "../cron/zone-offsets.ts";
import { WarningCode } from "../gen/easycron/v1/job_pb.ts";
import type { FireTimeSchema } from "../gen/easycron/v1/schedule_pb.ts";
import type {
  PreviewScheduleRequest,
  PreviewScheduleResponseSchema,
} from "../gen/easycron/v1/schedule_service_pb.ts";
import { type CompiledSchedule, compileSchedule } from "./compiled-schedule.ts";
import type { Parts } from "./parts.ts";
import { readJob } from "./read-jobs.ts";

const DEFAULT_COUNT = 10;

/**
 * The next fire times of a saved or an unsaved job, by the code that fires them, without side effects. Throws
 * JOB_NOT_FOUND, SCHEDULE_INVALID, TIME_ZONE_UNKNOWN.
 */
export async function previewSchedule(
  parts: Parts,
  projectId: string,
  request: PreviewScheduleRequest,
): Promise<MessageInitShape<typeof PreviewScheduleResponseSchema>> {
  const schedule = await scheduleOf(parts, projectId, request);
  const count = request.count === 0 ? DEFAULT_COUNT : request.count;
  const afterMs = request.after === undefined ? parts.clock.now() : timestampMs(request.after);
  const fireTimes: MessageInitShape<typeof FireTimeSchema>[] = [];
  let fireTimeMs = schedule.nextAfter(afterMs);
  while (fireTimeMs !== null && fireTimes.length < count) {
    fireTimes.push(toFireTime(fireTimeMs, schedule.zoneOf(fireTimeMs)));
    fireTimeMs = schedule.nextAfter(fireTimeMs);
  }
  return { fireTimes, warnings: fireTimes.length === 0 ? [neverFiresWarning(schedule)] : [] };
}

async function scheduleOf(
  parts: Parts,
  projectId: string,
  request: PreviewScheduleRequest,
): Promise<CompiledSchedule> {
  if (request.source.case === "job") return compileSchedule(request.source.value.schedules, "");
  return parts.schedules.of(await readJob(parts, projectId, { name: request.source.value ?? "" }));
}

function toFireTime(fireTimeMs: number, zone: string): MessageInitShape<typeof FireTimeSchema> {
  const offset = offsetAt(zone, fireTimeMs);
  return {
    nominalTime: timestampFromMs(fireTimeMs),
    effectiveTime: timestampFromMs(fireTimeMs),
    localTime: formatLocal(Math.floor(fireTimeMs / 1_000) + offset),
    utcOffset: formatOffset(offset),
  };
}

function neverFiresWarning(schedule: CompiledSchedule) {
  return {
    code: WarningCode.NEVER_FIRES,
    message: "There is no fire time after the given instant.",
    field: schedule.neverFiring[0] ?? "job.schedules",
  };
}
