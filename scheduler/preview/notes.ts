import { type FireTimeOnClock, showFireTime } from "../../cron/preview.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { PreviewedFireTime } from "./preview.ts";
import type { ScheduleSource } from "./schedule-source.ts";

/** A fire time as it is shown: on its clock, with notes for people. */
export interface NotedFireTime {
  readonly clock: Pick<FireTimeOnClock, "localTime" | "utcOffset">;
  readonly notes: readonly string[];
}

/** Says what is special about a fire time: what the clocks do to it, what delays or skips it, what is not known yet. */
export function noteFireTime(
  { schedule, chosenLater }: Pick<ScheduleSource, "schedule" | "chosenLater">,
  fire: PreviewedFireTime,
): NotedFireTime {
  const { note, ...clock } = showFireTime(schedule.plan, fire.atMs);
  const notes = [
    ...(note === null ? [] : [note.text]),
    ...(fire.reason === null ? delayNotes(fire) : [skipNote(fire, fire.reason)]),
    ...chosenLater.map((what) => CHOSEN_LATER[what]),
  ];
  return { clock, notes };
}

const CHOSEN_LATER: Readonly<Record<ScheduleSource["chosenLater"][number], string>> = {
  HASHED: "An example: what H stands for is chosen when the job is created.",
  WINDOW: "An example: the job's place in its flexible window is chosen when it is created.",
};

function delayNotes({ atMs, effectiveMs, place }: PreviewedFireTime): string[] {
  if (place.kind === "SKIP" || effectiveMs === null || effectiveMs === atMs) return [];
  if (place.deferredBy !== null) return [`Deferred: the calendar ${place.deferredBy} is closed.`];
  const delayMs = place.atMs - atMs;
  return delayMs > 0 ? [`Delayed by ${delayMs} ms within its flexible window.`] : [];
}

function skipNote({ place }: PreviewedFireTime, reason: SkipReason): string {
  if (reason !== "OUTSIDE_CALENDAR") return SKIP_TEXTS[reason];
  if (place.kind === "SKIP") return `Skipped: the calendar ${place.calendar} is closed.`;
  return `Skipped: the calendar ${place.deferredBy} is closed, and an earlier fire time waits for its opening.`;
}

const SKIP_TEXTS: Readonly<Record<Exclude<SkipReason, "OUTSIDE_CALENDAR">, string>> = {
  SKIPPED_BY_REQUEST: "Skipped: SkipFireTime asked for it.",
  OVERLAP: "Skipped: an earlier fire time is delivered at the same instant.",
  BUFFER_FULL: "Skipped: an earlier fire time waits, and no other may.",
  PAUSED: "Skipped: the job is paused.",
  JOB_DISABLED: "Skipped: the job is disabled.",
  CATCHUP_WINDOW: "Missed: it would be delivered too late.",
  CATCHUP_LIMIT: "Missed: enough later ones are made up for.",
  MISFIRE_POLICY: "Missed: the job's misfire policy leaves it out.",
};

/** The note of all fire times of a job whose limit lies too far ahead to be counted. */
export function limitNote({ policies }: CompiledSchedule): string {
  return `Not counted: whether this is among the ${policies.maxFires} that maxFires allows; too many fire times lie before it.`;
}
