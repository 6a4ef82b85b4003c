import { type FireTimeOnClock, showFireTime } from "../../cron/preview.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { PreviewedFireTime } from "./preview.ts";
import type { ScheduleSource } from "./schedule-source.ts";

/** A fire time as customers see it: on the clock of its zone, with notes. */
export interface NotedFireTime {
  readonly clock: Pick<FireTimeOnClock, "localTime" | "utcOffset">;
  readonly notes: readonly string[];
}

/** Writes the notes of a fire time: a change of the clocks, a delay, why it is skipped, and what is only an example. */
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
  HASHED: "This is an example: the value of H is chosen when the job is created.",
  WINDOW: "This is an example: the delay within the flexible window is chosen when the job is created.",
};

function delayNotes({ atMs, effectiveMs, place }: PreviewedFireTime): string[] {
  if (place.kind === "SKIP" || effectiveMs === null || effectiveMs === atMs) return [];
  if (place.deferredBy !== null) return [`Deferred: the calendar ${place.deferredBy} is closed.`];
  const delayMs = place.atMs - atMs;
  return delayMs > 0 ? [`Delayed by ${delayMs} ms within the flexible window.`] : [];
}

function skipNote({ place }: PreviewedFireTime, reason: SkipReason): string {
  if (reason !== "OUTSIDE_CALENDAR") return SKIP_TEXTS[reason];
  if (place.kind === "SKIP") return `Skipped: the calendar ${place.calendar} is closed.`;
  return `Skipped: the calendar ${place.deferredBy} is closed, and an earlier fire time already waits until it opens.`;
}

const SKIP_TEXTS: Readonly<Record<Exclude<SkipReason, "OUTSIDE_CALENDAR">, string>> = {
  SKIPPED_BY_REQUEST: "Skipped: SkipFireTime was called for it.",
  OVERLAP: "Skipped: an earlier trigger is delivered at the same instant, and the overlap policy is SKIP.",
  BUFFER_FULL: "Skipped: the overlap policy lets no more fire times wait.",
  PAUSED: "Skipped: the job is paused.",
  JOB_DISABLED: "Skipped: the job is disabled.",
  CATCHUP_WINDOW: "Missed: it is older than catchupWindow.",
  CATCHUP_LIMIT: "Missed: maxCatchup later fire times are caught up instead.",
  MISFIRE_POLICY: "Missed: the job's misfire policy drops it.",
};

/** Returns the note for every fire time of a job when `maxFires` could not be taken into account. */
export function limitNote({ policies }: CompiledSchedule): string {
  return `maxFires (${policies.maxFires}) is not taken into account here, because too many fire times come before this one.`;
}
