import { hasOf60 } from "./bits.ts";
import { nextPassing, PASSING_STEPS } from "./next-passing.ts";
import type { FirePlan } from "./preview.ts";
import { type Schedule, zoneOf } from "./schedule.ts";
import type { Warning } from "./warning.ts";
import { offsetAt } from "./zone-offsets.ts";

/** A fire time at the top of an hour (minute 0). `schedule` is the index of its schedule. */
export type TopOfHour = Readonly<{ schedule: number; atMs: number }>;

/** Such a fire time and how many other jobs are due at it; `orMore` if they were not all counted. */
export type Crowd = TopOfHour & Readonly<{ otherJobs: number; orMore: boolean }>;

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const ALL_THIRTY = (1 << 30) - 1;

/**
 * Returns for each schedule its first fire time later than `afterMs` that is at the top of an hour of its local time
 * and that the calendars neither skip nor defer. Leaves out schedules that are due every minute, because they cannot
 * avoid the top of the hour. Returns nothing for a job with a flexible window, which spreads the load already.
 */
export function topsOfHour(plan: FirePlan, afterMs: number): TopOfHour[] {
  if (plan.flexibleWindow !== undefined) return [];
  return plan.schedules.flatMap((schedule, index) => {
    const atMs = mayCrowd(schedule) ? nextTop(plan, schedule, afterMs) : null;
    return atMs === null ? [] : [{ schedule: index, atMs }];
  });
}

/** Returns the warning about a crowd. `kind` is the kind of its schedule. */
export function lintCrowd({ schedule, atMs, otherJobs, orMore }: Crowd, kind: Schedule["kind"]): Warning {
  const { field, advice } = ADVICE[kind];
  const count = orMore ? `${otherJobs} or more` : otherJobs;
  const message = `At ${new Date(atMs).toISOString()}, the next fire time of the schedule at the top of an hour, ${count} other jobs are due as well. To spread the load use ${advice}.`;
  return { code: "TOP_OF_HOUR", field: `schedules[${schedule}].${field}`, message };
}

const ADVICE: Readonly<Record<Schedule["kind"], Readonly<{ field: string; advice: string }>>> = {
  cron: { field: "cron.expression", advice: "another minute, H or a flexible window" },
  rate: { field: "rate.anchorTime", advice: "another anchor or a flexible window" },
  once: { field: "once", advice: "another minute or a flexible window" },
  calendarEdge: { field: "calendarEdge", advice: "a flexible window" },
};

function mayCrowd(schedule: Schedule): boolean {
  if (schedule.kind === "cron") {
    const { secondsLow, secondsHigh, minutesLow, minutesHigh } = schedule.fields;
    const everyMinute = minutesLow === ALL_THIRTY && minutesHigh === ALL_THIRTY;
    return !everyMinute && hasOf60(minutesLow, minutesHigh, 0) && hasOf60(secondsLow, secondsHigh, 0);
  }
  if (schedule.kind !== "rate") return true;
  const { everyMs } = schedule;
  return everyMs > MINUTE_MS && (HOUR_MS % everyMs === 0 || everyMs % HOUR_MS === 0);
}

function nextTop(plan: FirePlan, schedule: Schedule, afterMs: number): number | null {
  let from = afterMs;
  for (let steps = PASSING_STEPS; steps > 0; ) {
    const passing = nextPassing({ ...plan, schedules: [schedule] }, from, { steps });
    if (passing.atMs === null) return null;
    const pastMs = modulo(passing.atMs + offsetAt(zoneOf(schedule), passing.atMs) * 1000, HOUR_MS);
    if (pastMs === 0 && passing.openingMs === null) return passing.atMs;
    from = passing.atMs - pastMs + HOUR_MS - 1;
    steps -= passing.steps;
  }
  return null;
}

function modulo(value: number, size: number): number {
  return ((value % size) + size) % size;
}
