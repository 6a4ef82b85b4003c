import { type CalendarGate, passGates } from "./calendar-gate.ts";
import { flexibleDelay } from "./flexible-window.ts";
import { formatLocal, formatOffset } from "./local-time.ts";
import { noteOffset, type OffsetNote } from "./offset-note.ts";
import { type Bounds, type Fire, nextFire, type Schedule } from "./schedule.ts";
import { offsetAt, type Zone } from "./zone-offsets.ts";

/** All that decides when a job fires. */
export type FirePlan = Readonly<{
  schedules: readonly Schedule[];
  bounds?: Bounds;
  gates?: readonly CalendarGate[];
  flexibleWindow?: Readonly<{ jobUid: string; windowMs: number }>;
}>;

/** Something worth knowing about one fire time; `text` is a sentence for people. */
export type PreviewNote = Readonly<{ code: OffsetNote | "SKIPPED" | "DEFERRED" | "DELAYED"; text: string }>;

export type PreviewedFireTime = Readonly<{
  nominalMs: number;
  /** When it is really due; null if a calendar skips it. */
  effectiveMs: number | null;
  /** The nominal time on the schedule's wall clock: "2027-03-28T02:30:00". */
  localTime: string;
  /** "+01:00". */
  utcOffset: string;
  notes: readonly PreviewNote[];
}>;

/** The most fire times of one preview. */
export const MAX_PREVIEW = 1_000;

/**
 * Returns the next fire times strictly later than `afterMs`, at most `count` (and at most 1,000), ascending. Those that
 * calendars skip or defer are among them, with a note; several deferred to one instant are one fire.
 */
export function previewFireTimes(plan: FirePlan, afterMs: number, count: number): PreviewedFireTime[] {
  const previewed: PreviewedFireTime[] = [];
  const most = Math.min(count, MAX_PREVIEW);
  let fire = nextFire(plan.schedules, afterMs, plan.bounds);
  while (fire !== null && previewed.length < most) {
    const following = nextFire(plan.schedules, fire.atMs, plan.bounds);
    previewed.push(describeFire(plan, fire, following?.atMs ?? null));
    fire = following;
  }
  return previewed;
}

function describeFire(plan: FirePlan, fire: Fire, followingMs: number | null): PreviewedFireTime {
  const { schedule, atMs } = fire;
  const zone = zoneOf(schedule);
  const notes: PreviewNote[] = [];
  const offsetNote = noteOffset(schedule, atMs);
  if (offsetNote !== null) notes.push({ code: offsetNote, text: OFFSET_TEXTS[offsetNote] });
  const effectiveMs = effectiveTime(plan, atMs, followingMs, notes);
  const offset = offsetAt(zone, atMs);
  return {
    nominalMs: atMs,
    effectiveMs,
    localTime: formatLocal(Math.floor(atMs / 1000) + offset),
    utcOffset: formatOffset(offset),
    notes,
  };
}

function effectiveTime(
  plan: FirePlan,
  atMs: number,
  followingMs: number | null,
  notes: PreviewNote[],
): number | null {
  const verdict = passGates(plan.gates ?? [], atMs);
  if (verdict.kind === "SKIPPED") {
    notes.push({ code: "SKIPPED", text: `Skipped: the calendar ${verdict.calendar} is closed.` });
    return null;
  }
  if (verdict.kind === "DEFERRED") {
    notes.push({ code: "DEFERRED", text: `Deferred: the calendar ${verdict.calendar} is closed.` });
    return verdict.untilMs;
  }
  if (plan.flexibleWindow === undefined) return atMs;
  const delayMs = flexibleDelay(plan.flexibleWindow.jobUid, plan.flexibleWindow.windowMs, atMs, followingMs);
  if (delayMs > 0)
    notes.push({ code: "DELAYED", text: `Delayed by ${delayMs} ms within its flexible window.` });
  return atMs + delayMs;
}

const OFFSET_TEXTS: Readonly<Record<OffsetNote, string>> = {
  GAP_SHIFTED: "Shifted: its local time is skipped, so it fires when the clocks have moved forward.",
  FIRST_OF_TWO: "Its local time comes twice; this is the first.",
  SECOND_OF_TWO: "Its local time comes twice; this is the second.",
};

function zoneOf(schedule: Schedule): Zone {
  if (schedule.kind === "cron") return schedule.zone;
  return schedule.kind === "calendarEdge" ? schedule.calendar.zone : "UTC";
}
