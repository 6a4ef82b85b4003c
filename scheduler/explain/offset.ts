import { nextLocalSecond } from "../../cron/next.ts";
import { noteOffset } from "../../cron/offset-note.ts";
import { type CronSchedule, nextOfSchedule } from "../../cron/schedule.ts";
import { knownSecond, spanAt } from "../../cron/zone-offsets.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** Says how a change of the clocks affects a fire time. Empty when it does not. */
export function offsetSentence({ plan }: CompiledSchedule, atMs: number): string {
  for (const schedule of plan.schedules) {
    if (schedule.kind !== "cron" || nextOfSchedule(schedule, atMs - 1) !== atMs) continue;
    const { name } = schedule.zone;
    switch (noteOffset(schedule, atMs)) {
      case "GAP_SHIFTED":
        return `Its local time does not exist in ${name}, because the clocks go forward. The job fires at the end of the gap.`;
      case "FIRST_OF_TWO":
        return `Its local time occurs twice in ${name}, because the clocks go back. This is the first occurrence.`;
      case "SECOND_OF_TWO":
        return `Its local time occurs twice in ${name}, because the clocks go back. This is the second occurrence.`;
      case null:
        break;
    }
  }
  return "";
}

/**
 * Says why an instant is not a fire time although its local time matches a schedule: because the clocks skip that local
 * time, or because it occurs twice and the job fires at the other occurrence. Empty when neither is so.
 */
export function missingOffsetSentence({ plan }: CompiledSchedule, atMs: number): string {
  for (const schedule of plan.schedules) {
    const sentence = schedule.kind === "cron" ? missingSentence(schedule, atMs) : "";
    if (sentence !== "") return sentence;
  }
  return "";
}

function missingSentence(schedule: CronSchedule, atMs: number): string {
  const { zone, fields, dst } = schedule;
  const second = knownSecond(atMs);
  const span = spanAt(zone, second);
  const matches = (local: number) => nextLocalSecond(fields, local) === local;
  const shown = (local: number) => new Date(local * 1_000).toISOString().slice(0, 19);
  const jump = span.offset - span.offsetBefore;
  // The local time that the clock would show if it had not gone forward.
  const skipped = second + span.offsetBefore;
  if (jump > 0 && second < span.start + jump && matches(skipped)) {
    const fires =
      dst.gap === "SKIP"
        ? "The job's dstPolicy skips it"
        : `The job fires at ${toIso(span.start * 1_000)} instead`;
    return `The local time ${shown(skipped)} does not exist in ${zone.name}, because the clocks go forward. ${fires}.`;
  }
  const local = second + span.offset;
  if (fields.periodic || !matches(local)) return "";
  const otherMs = [local - span.offsetBefore, local - span.offsetAfter].find((each) => each !== second);
  if (otherMs === undefined || nextOfSchedule(schedule, otherMs * 1_000 - 1) !== otherMs * 1_000) return "";
  const which = otherMs < second ? "first" : "second";
  return `The local time ${shown(local)} occurs twice in ${zone.name}. The job fires at the ${which} occurrence, ${toIso(otherMs * 1_000)}.`;
}
