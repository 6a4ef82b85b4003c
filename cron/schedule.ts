import { type Calendar, nextEdge } from "./calendar.ts";
import type { CronFields } from "./cron-fields.ts";
import { DEFAULT_DST_POLICY, type DstPolicy } from "./dst-policy.ts";
import { type CronDialect, parseCron } from "./expression.ts";
import { nextFireTime } from "./next.ts";
import { nextOnceTime, type Once } from "./once.ts";
import { nextRateTime, type Rate } from "./rate.ts";
import { toOffsets, type Zone, type ZoneOffsets } from "./zone-offsets.ts";

/** One parsed schedule of a job. A job without schedules fires by manual runs only. */
export type Schedule =
  | Readonly<{ kind: "cron"; fields: CronFields; zone: ZoneOffsets; dst: DstPolicy }>
  | (Readonly<{ kind: "rate" }> & Rate)
  | (Readonly<{ kind: "once" }> & Once)
  | Readonly<{ kind: "calendarEdge"; calendar: Calendar; edge: "OPENS" | "CLOSES" }>;

export type CronSchedule = Extract<Schedule, { kind: "cron" }>;

/** The start and end of a job (epoch ms, both inclusive). There are no fire times outside. */
export type Bounds = Readonly<{ startMs?: number | undefined; endMs?: number | undefined }>;

/** A fire time and the first schedule that has it. */
export type Fire = Readonly<{ atMs: number; schedule: Schedule }>;

export type CronScheduleSpec = Readonly<{
  expression: string;
  dialect?: CronDialect;
  /** Decides which values `H` stands for: the job's id. */
  seed?: string;
  timeZone?: Zone;
  dst?: Partial<DstPolicy>;
}>;

/** Makes a cron schedule. By default it is in UTC, with the default policy. Throws a ScheduleError. */
export function createCronSchedule(spec: CronScheduleSpec): CronSchedule {
  const { expression, dialect = "STANDARD", seed = "", timeZone = "UTC", dst = {} } = spec;
  const fields = parseCron(expression, { dialect, seed });
  return { kind: "cron", fields, zone: toOffsets(timeZone), dst: { ...DEFAULT_DST_POLICY, ...dst } };
}

/** Returns the zone of a schedule: its own, or that of its calendar. */
export function zoneOf(schedule: Schedule): ZoneOffsets {
  return schedule.kind === "calendarEdge" ? schedule.calendar.zone : schedule.zone;
}

/** Returns the first fire time of one schedule strictly later than `afterMs` (epoch ms), or null. */
export function nextOfSchedule(schedule: Schedule, afterMs: number): number | null {
  switch (schedule.kind) {
    case "cron":
      return nextFireTime(schedule.fields, schedule.zone, afterMs, schedule.dst);
    case "rate":
      return nextRateTime(schedule, afterMs);
    case "once":
      return nextOnceTime(schedule, afterMs);
    case "calendarEdge":
      return nextEdge(schedule.calendar, schedule.edge, afterMs);
  }
}

/**
 * Returns the first fire time of any of the schedules that is strictly later than `afterMs` and within the bounds, or
 * null. An instant that several schedules share is one fire time, because the next question asks for a later one.
 */
export function nextOf(schedules: readonly Schedule[], afterMs: number, bounds: Bounds = {}): number | null {
  return nextFire(schedules, afterMs, bounds)?.atMs ?? null;
}

/** Does what `nextOf` does, and returns the schedule as well. */
export function nextFire(schedules: readonly Schedule[], afterMs: number, bounds: Bounds = {}): Fire | null {
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = bounds;
  // Fire times are whole milliseconds, so strictly later than start - 1 is start or later.
  const from = Math.max(afterMs, startMs - 1);
  const next = schedules.length === 1 ? nextOfSchedule : nextOfOneOfMany;
  let first: Fire | null = null;
  for (const schedule of schedules) {
    const atMs = next(schedule, from);
    if (atMs !== null && atMs <= endMs && (first === null || atMs < first.atMs)) first = { atMs, schedule };
  }
  return first;
}

/**
 * The last question to a schedule and its answer. From `afterMs` on and before `nextMs`, every question has this
 * answer.
 */
type Answer = Readonly<{ afterMs: number; nextMs: number | null }>;

const answers = new WeakMap<Schedule, Answer>();

/**
 * Does what `nextOfSchedule` does, with a cache: a rare schedule is not computed again each time another schedule
 * fires.
 */
function nextOfOneOfMany(schedule: Schedule, afterMs: number): number | null {
  const known = answers.get(schedule);
  if (known !== undefined && afterMs >= known.afterMs && (known.nextMs === null || afterMs < known.nextMs)) {
    return known.nextMs;
  }
  const nextMs = nextOfSchedule(schedule, afterMs);
  answers.set(schedule, { afterMs, nextMs });
  return nextMs;
}
