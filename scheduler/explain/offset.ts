import { nextLocalSecond } from "../../cron/next.ts";
import { noteOffset } from "../../cron/offset-note.ts";
import { type CronSchedule, nextOfSchedule } from "../../cron/schedule.ts";
import { knownSecond, spanAt } from "../../cron/zone-offsets.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { iso } from "./words.ts";

/** Says what a change of the zone's offset did to a fire time; empty when it did nothing. */
export function offsetSentence({ plan }: CompiledSchedule, atMs: number): string {
  for (const schedule of plan.schedules) {
    if (schedule.kind !== "cron" || nextOfSchedule(schedule, atMs - 1) !== atMs) continue;
    const { name } = schedule.zone;
    switch (noteOffset(schedule, atMs)) {
      case "GAP_SHIFTED":
        return `Its local time is skipped in ${name}, where the clocks go forward: it fires at the end of the gap.`;
      case "FIRST_OF_TWO":
        return `Its local time comes twice in ${name}, where the clocks go back: this is the first.`;
      case "SECOND_OF_TWO":
        return `Its local time comes twice in ${name}, where the clocks go back: this is the second.`;
      case null:
        break;
    }
  }
  return "";
}

/**
 * Says why an instant is no fire time although a local clock shows, or would have shown, a time that matches: it is
 * skipped, or comes twice. Empty when that is not so.
 */
export function missingOffsetSentence({ plan }: CompiledSchedule, atMs: number): string {
  for (const schedule of plan.schedules) {
    const sentence = schedule.kind === "cron" ? sentenceOf(schedule, atMs) : "";
    if (sentence !== "") return sentence;
  }
  return "";
}

function sentenceOf(schedule: CronSchedule, atMs: number): string {
  const { zone, fields, dst } = schedule;
  const second = knownSecond(atMs);
  const span = spanAt(zone, second);
  const matches = (local: number) => nextLocalSecond(fields, local) === local;
  const shown = (local: number) => new Date(local * 1_000).toISOString().slice(0, 19);
  const jump = span.offset - span.offsetBefore;
  // The clock would have shown this, had it not gone forward.
  const skipped = second + span.offsetBefore;
  if (jump > 0 && second < span.start + jump && matches(skipped)) {
    const fires =
      dst.gap === "SKIP"
        ? "by its dstPolicy it does not fire for it"
        : `it fired at ${iso(span.start * 1_000)}`;
    return `The local time ${shown(skipped)} is skipped in ${zone.name}, and ${fires}.`;
  }
  const local = second + span.offset;
  if (fields.rhythm || !matches(local)) return "";
  const otherMs = [local - span.offsetBefore, local - span.offsetAfter].find((each) => each !== second);
  if (otherMs === undefined || nextOfSchedule(schedule, otherMs * 1_000 - 1) !== otherMs * 1_000) return "";
  const which = otherMs < second ? "first" : "second";
  return `The local time ${shown(local)} comes twice in ${zone.name}: it fires at the ${which}, ${iso(otherMs * 1_000)}.`;
}
