import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Verdict, VerdictReason } from "../../gen/easycron/v1/ledger_pb.ts";
import type {
  SimulatedFireTimeSchema,
  SimulateScheduleRequest,
  SimulateScheduleResponseSchema,
  TimeRange,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { verdictOf } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import { runInSlices } from "../schedules/slices.ts";
import { readScheduleSource } from "./schedule-source.ts";
import { simulate } from "./simulate.ts";
import type { PlayedFireTime, Range } from "./virtual-job.ts";

const TEN_YEARS_MS = 3_653 * 86_400_000;

/**
 * Simulates a saved or an unsaved job over a range of time, with the code that fires jobs. It changes nothing.
 *
 * When `signal` is aborted, or after 2 s of computing, it returns what it has simulated so far. Throws JOB_NOT_FOUND,
 * CALENDAR_NOT_FOUND, SCHEDULE_INVALID, TIME_ZONE_UNKNOWN or FIELD_INVALID.
 */
export async function simulateSchedule(
  parts: Pick<Parts, "database" | "schedules" | "zoneData" | "clock" | "catchupPerSecond">,
  projectId: string,
  request: SimulateScheduleRequest,
  signal?: AbortSignal,
): Promise<MessageInitShape<typeof SimulateScheduleResponseSchema>> {
  const nowMs = parts.clock.now();
  const startMs = request.startTime === undefined ? nowMs : timestampMs(request.startTime);
  const endMs = request.endTime === undefined ? startMs : timestampMs(request.endTime);
  checkEnd(startMs, endMs);
  const outages = readRanges("outages", request.outages);
  const pauses = readRanges("pauses", request.pauses);
  const durationOfTrigger = request.triggerDuration === undefined ? 0 : durationMs(request.triggerDuration);
  const { schedule } = await readScheduleSource(parts, projectId, request.source, {
    nowMs,
    createMs: startMs,
  });
  const gates = await gatesOf(parts.database, parts.zoneData, projectId, schedule.calendars);
  const simulation = simulate({
    schedule,
    gates,
    startMs,
    endMs,
    outages,
    pauses,
    durationMs: durationOfTrigger,
    catchupPerSecond: parts.catchupPerSecond,
  });
  const { fireTimes, untilMs } = await runInSlices(simulation, { signal });
  return { fireTimes: fireTimes.map(toMessage), simulatedUntil: timestampFromMs(untilMs) };
}

function checkEnd(startMs: number, endMs: number): void {
  if (endMs > startMs && endMs - startMs <= TEN_YEARS_MS) return;
  const [start, end] = [toIso(startMs), toIso(endMs)];
  const problem = `It is ${end}. It must be later than startTime (${start}), by at most ten years.`;
  throw fieldFailure("FIELD_INVALID", "endTime", problem);
}

function readRanges(field: string, ranges: readonly TimeRange[]): Range[] {
  let lastMs = Number.NEGATIVE_INFINITY;
  return ranges.map((range, index) => {
    const startMs = range.startTime === undefined ? 0 : timestampMs(range.startTime);
    const endMs = range.endTime === undefined ? 0 : timestampMs(range.endTime);
    if (endMs <= startMs || startMs < lastMs) {
      const problem = `It is ${toIso(startMs)} to ${toIso(endMs)}. Each range must end after it starts, and must not start before the previous one ends.`;
      throw fieldFailure("FIELD_INVALID", `${field}[${index}]`, problem);
    }
    lastMs = endMs;
    return { startMs, endMs };
  });
}

function toMessage(fire: PlayedFireTime): MessageInitShape<typeof SimulatedFireTimeSchema> {
  const { atMs, reason, detail, trigger } = fire;
  const nominalTime = timestampFromMs(atMs);
  if (trigger !== null) {
    const { effectiveMs, kind, seq } = trigger;
    return {
      nominalTime,
      verdict: Verdict.TRIGGERED,
      effectiveTime: timestampFromMs(effectiveMs),
      kind,
      seq,
    };
  }
  if (reason === null) return { nominalTime, verdict: Verdict.UPCOMING };
  return {
    nominalTime,
    verdict: Verdict[verdictOf(reason)],
    reason: VerdictReason[reason],
    calendar: reason === "OUTSIDE_CALENDAR" ? detail : "",
  };
}
