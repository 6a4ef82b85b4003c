import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { WarningCode } from "../../gen/easycron/v1/job_pb.ts";
import type { FireTimeSchema } from "../../gen/easycron/v1/schedule_pb.ts";
import type {
  PreviewScheduleRequest,
  PreviewScheduleResponseSchema,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Parts } from "../parts.ts";
import { runInSlices } from "../schedules/slices.ts";
import { readLintContext } from "./lint-context.ts";
import { limitNote, noteFireTime } from "./notes.ts";
import { type Preview, preview } from "./preview.ts";
import { savedJobState } from "./saved-job-state.ts";
import { readScheduleSource, type ScheduleSource } from "./schedule-source.ts";
import { newJobState } from "./simulate.ts";
import { warningsOf } from "./warnings.ts";

const DEFAULT_COUNT = 10;

type PreviewParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock" | "lookAheadMs" | "stepMs">;

/**
 * Returns the next fire times of a saved or an unsaved job, computed by the code that fires jobs. It changes nothing.
 *
 * A job that never fires gives no fire time, but a NEVER_FIRES warning. When `signal` is aborted, or after 2 s of
 * computing, it returns the fire times found so far. Throws JOB_NOT_FOUND, CALENDAR_NOT_FOUND, SCHEDULE_INVALID or
 * TIME_ZONE_UNKNOWN.
 */
export async function previewSchedule(
  parts: PreviewParts,
  projectId: string,
  request: PreviewScheduleRequest,
  signal?: AbortSignal,
): Promise<MessageInitShape<typeof PreviewScheduleResponseSchema>> {
  const nowMs = parts.clock.now();
  const afterMs = request.after === undefined ? nowMs : timestampMs(request.after);
  // An unsaved job has no past. It is treated as if it were created now, or at `after` if that is earlier.
  const createMs = Math.min(nowMs, afterMs);
  const source = await readScheduleSource(parts, projectId, request.source, { nowMs, createMs });
  const { job, schedule, row } = source;
  const context = await readLintContext(parts, projectId, schedule);
  const fromMs = row === null ? createMs : nowMs;
  const state = row === null ? newJobState(schedule, fromMs, fromMs) : savedJobState(row, schedule, nowMs);
  const count = request.count === 0 ? DEFAULT_COUNT : request.count;
  const { showSkipped } = request;
  const given = { schedule, gates: context.gates, state, nowMs: fromMs, afterMs, count, showSkipped };
  const previewed = await runInSlices(preview(given), { signal });
  const { maxFires } = schedule.policies;
  const limited = maxFires > 0 && afterMs >= nowMs;
  const limit = limited ? { firesLeft: Math.max(0, maxFires - (row?.last_seq ?? 0)) } : {};
  const warnings = warningsOf(schedule, job, afterMs, { ...context, ...limit });
  const none = previewed.fireTimes.length === 0 && previewed.ended;
  if (none && !warnings.some(({ code }) => code === WarningCode.NEVER_FIRES)) {
    const message = neverFires(afterMs, previewed.skippedAfter);
    warnings.push({ code: WarningCode.NEVER_FIRES, field: "job.schedules", message });
  }
  return {
    fireTimes: toFireTimes(source, previewed),
    warnings,
    zoneDataVersion: parts.zoneData.label(schedule, nowMs),
    skippedAfter: previewed.skippedAfter,
    ...(previewed.untilMs === null ? {} : { previewedUntil: timestampFromMs(previewed.untilMs) }),
  };
}

function neverFires(afterMs: number, skipped: number): string {
  if (skipped === 0) return `The job has no fire time after ${toIso(afterMs)}.`;
  return `The job creates no trigger after ${toIso(afterMs)}: all its fire times (${skipped}) are skipped.`;
}

function toFireTimes(
  source: ScheduleSource,
  { fireTimes, limitCounted }: Preview,
): MessageInitShape<typeof FireTimeSchema>[] {
  const general = limitCounted ? [] : [limitNote(source.schedule)];
  return fireTimes.map((fire) => {
    const { clock, notes } = noteFireTime(source, fire);
    const { atMs, effectiveMs, skippedBefore } = fire;
    return {
      nominalTime: timestampFromMs(atMs),
      ...(effectiveMs === null ? {} : { effectiveTime: timestampFromMs(effectiveMs) }),
      ...clock,
      notes: [...notes, ...general],
      skippedBefore,
    };
  });
}
