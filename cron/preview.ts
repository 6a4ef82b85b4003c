import type { CalendarGate } from "./calendar-gate.ts";
import { formatLocal, formatOffset } from "./local-time.ts";
import { noteOffset, type OffsetNote } from "./offset-note.ts";
import { type Bounds, nextFire, type Schedule, zoneOf } from "./schedule.ts";
import { offsetAt } from "./zone-offsets.ts";

/** Everything that decides when a job fires. */
export type FirePlan = Readonly<{
  schedules: readonly Schedule[];
  bounds?: Bounds;
  gates?: readonly CalendarGate[];
  flexibleWindow?: Readonly<{ jobUid: string; windowMs: number }>;
}>;

/** A fire time on the wall clock of its schedule. */
export type FireTimeOnClock = Readonly<{
  /** "2027-03-28T02:30:00". */
  localTime: string;
  /** "+01:00". */
  utcOffset: string;
  /** How an offset change affects it; usually null. `text` is for people. */
  note: Readonly<{ code: OffsetNote; text: string }> | null;
}>;

/**
 * Shows a fire time on the wall clock of the first schedule that has it, and how an offset change affects it. An
 * instant that no schedule has is shown in UTC.
 */
export function showFireTime(plan: Pick<FirePlan, "schedules" | "bounds">, atMs: number): FireTimeOnClock {
  const fire = nextFire(plan.schedules, atMs - 1, plan.bounds);
  const schedule = fire?.atMs === atMs ? fire.schedule : null;
  const offset = schedule === null ? 0 : offsetAt(zoneOf(schedule), atMs);
  const code = schedule === null ? null : noteOffset(schedule, atMs);
  return {
    localTime: formatLocal(Math.floor(atMs / 1000) + offset),
    utcOffset: formatOffset(offset),
    note: code === null ? null : { code, text: OFFSET_TEXTS[code] },
  };
}

const OFFSET_TEXTS: Readonly<Record<OffsetNote, string>> = {
  GAP_SHIFTED:
    "Its local time does not exist on this day, so it fires at the moment when the clocks move forward.",
  FIRST_OF_TWO: "Its local time occurs twice on this day; this is the first time.",
  SECOND_OF_TWO: "Its local time occurs twice on this day; this is the second time.",
};
