import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { WarningCode } from "../../gen/easycron/v1/job_pb.ts";
import type { FireTimeSchema } from "../../gen/easycron/v1/schedule_pb.ts";
import type {
  PreviewScheduleRequest,
  PreviewScheduleResponseSchema,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import type { Parts } from "../parts.ts";
import { runInSlices } from "../schedules/slices.ts";
import { knownOf } from "./lint-context.ts";
import { limitNote, noteFireTime } from "./notes.ts";
import { type Preview, preview } from "./preview.ts";
import { standingOf } from "./saved-job-state.ts";
import { type ScheduleSource, scheduleSource } from "./schedule-source.ts";
import { standingAfter } from "./simulate.ts";
import { warningsOf } from "./warnings.ts";

const DEFAULT_COUNT = 10;

/**
 * The next fire times of a saved or an unsaved job, by the code that fires them, without side effects. Throws
 * JOB_NOT_FOUND, CALENDAR_NOT_FOUND, SCHEDULE_INVALID, TIME_ZONE_UNKNOWN. One that never fires gives none, and a warning.
 * Gives up early when `signal` is aborted.
 */
export async function previewSchedule(
  parts: Parts,
  projectId: string,
  request: PreviewScheduleRequest,
  signal?: AbortSignal,
): Promise<MessageInitShape<typeof PreviewScheduleResponseSchema>> {
  const nowMs = parts.clock.now();
  const afterMs = request.after === undefined ? nowMs : timestampMs(request.after);
  // What is not saved has no past: it is seen as if it were created at `after`.
  const createMs = Math.min(nowMs, afterMs);
  const source = await scheduleSource(parts, projectId, request.source, { nowMs, createMs });
  const { job, schedule, row } = source;
  const known = await knownOf(parts, projectId, schedule);
  const fromMs = row === null ? createMs : nowMs;
  const standing = row === null ? standingAfter(schedule, fromMs, fromMs) : standingOf(row, schedule, nowMs);
  const count = request.count === 0 ? DEFAULT_COUNT : request.count;
  const given = { schedule, gates: known.gates, standing, nowMs: fromMs, afterMs, count };
  const previewed = await runInSlices(preview(given), { signal });
  const { maxFires } = schedule.policies;
  const limited = maxFires > 0 && afterMs >= nowMs;
  const limit = limited ? { firesLeft: Math.max(0, maxFires - (row?.last_seq ?? 0)) } : {};
  const warnings = warningsOf(schedule, job, afterMs, { ...known, ...limit });
  const none = previewed.fireTimes.length === 0 && previewed.ended;
  if (none && !warnings.some(({ code }) => code === WarningCode.NEVER_FIRES)) {
    const message = "The job has no fire time after the given instant.";
    warnings.push({ code: WarningCode.NEVER_FIRES, field: "job.schedules", message });
  }
  const zoneDataVersion = parts.zoneData.label(schedule, nowMs);
  return { fireTimes: toFireTimes(source, previewed), warnings, zoneDataVersion };
}

function toFireTimes(
  source: ScheduleSource,
  { fireTimes, limitCounted }: Preview,
): MessageInitShape<typeof FireTimeSchema>[] {
  const further = limitCounted ? [] : [limitNote(source.schedule)];
  return fireTimes.map((fire) => {
    const { clock, notes } = noteFireTime(source, fire);
    const { atMs, effectiveMs } = fire;
    return {
      nominalTime: timestampFromMs(atMs),
      ...(effectiveMs === null ? {} : { effectiveTime: timestampFromMs(effectiveMs) }),
      ...clock,
      notes: [...notes, ...further],
    };
  });
}
