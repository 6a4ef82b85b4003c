import { nextOpeningOfAll } from "./calendar-gate.ts";
import { lintCron } from "./lint-cron.ts";
import { type Crowd, lintCrowd } from "./lint-crowd.ts";
import { lintOffsets } from "./lint-offsets.ts";
import { lintZone } from "./lint-zone.ts";
import { nextPassing } from "./next-passing.ts";
import type { FirePlan } from "./preview.ts";
import { nextOf, zoneOf } from "./schedule.ts";
import type { Warning } from "./warning.ts";

export type LintInput = Readonly<{
  plan: FirePlan;
  /** The warnings are about the time after this instant. */
  afterMs: number;
  /** How many more triggers the job may make. Without it there is no limit. */
  firesLeft?: number;
  /** How long a trigger may be retried. Without it, no warning compares it with the interval. */
  retryHorizonMs?: number;
  /** The fire times at the top of an hour at which too many other jobs are due. */
  crowds?: readonly Crowd[];
}>;

/** How many intervals between the next fire times are compared with the time for which a trigger may be retried. */
const INTERVALS = 10;

/** How many fire times are checked to find one that the calendars do not skip: of one schedule, and of all together. */
const PASSING_STEPS_OF_ONE = 1_000;
const PASSING_STEPS_OF_ALL = 4_000;

/**
 * How many fire times are checked to find the last one that `firesLeft` allows. Beyond, the linter assumes no limit.
 */
const LAST_FIRE_STEPS = 1_000;

/**
 * Returns the warnings about when a job fires after `afterMs`:
 *
 * - it never fires;
 * - it fires on more or fewer days than its expression seems to say;
 * - its time zone is an old name or a fixed offset;
 * - many other jobs are due at the same top of the hour;
 * - an offset change of the next two years affects it;
 * - a trigger may be retried for longer than the interval between two triggers.
 *
 * Empty for a job without schedules.
 */
export function lintPlan(input: LintInput): Warning[] {
  const { afterMs, firesLeft = Number.POSITIVE_INFINITY } = input;
  if (input.plan.schedules.length === 0) return [];
  const plan = untilLastFire(input);
  const warnings = firesLeft <= 0 ? [SPENT] : lintFires(input.plan, afterMs);
  for (const [index, schedule] of plan.schedules.entries()) {
    if (schedule.kind === "cron")
      warnings.push(...lintCron(schedule.fields, `schedules[${index}].cron.expression`));
    const { bounds = {} } = plan;
    const zone =
      schedule.kind === "calendarEdge"
        ? null
        : lintZone(zoneOf(schedule).name, `schedules[${index}].timeZone`);
    if (zone !== null) warnings.push(zone);
    const field = schedule.kind === "calendarEdge" ? "calendarEdge.calendar" : "timeZone";
    warnings.push(...lintOffsets(schedule, `schedules[${index}].${field}`, { afterMs, bounds }));
  }
  warnings.push(...lintCrowds(plan, input.crowds ?? []));
  const retries = lintRetries({ ...input, plan });
  return retries === null ? warnings : [...warnings, retries];
}

const SPENT: Warning = {
  code: "NEVER_FIRES",
  field: "maxFires",
  message: "The job has made all triggers that maxFires allows.",
};

/** Returns the plan with its end at the last fire time that `firesLeft` allows, if that can be found. */
function untilLastFire({ plan, afterMs, firesLeft = Number.POSITIVE_INFINITY }: LintInput): FirePlan {
  const { endMs = Number.POSITIVE_INFINITY } = plan.bounds ?? {};
  let lastMs = afterMs;
  let takenMs: number | null = null;
  let steps = LAST_FIRE_STEPS;
  if (firesLeft > steps) return plan;
  for (let left = firesLeft; left > 0; left -= 1) {
    const passing = nextPassing(plan, lastMs, { steps, takenMs });
    if (passing.atMs === null) return plan;
    lastMs = passing.atMs;
    takenMs = passing.openingMs;
    steps -= passing.steps;
  }
  return { ...plan, bounds: { ...plan.bounds, endMs: Math.min(endMs, lastMs) } };
}

function lintFires(plan: FirePlan, afterMs: number): Warning[] {
  const after = new Date(afterMs).toISOString();
  const warnings: Warning[] = [];
  const never = (field: string, message: string) => warnings.push({ code: "NEVER_FIRES", field, message });
  for (const [index, schedule] of plan.schedules.entries()) {
    if (nextOf([schedule], afterMs, plan.bounds) === null) {
      never(
        `schedules[${index}]`,
        `This schedule has no fire time after ${after}, within the job's start and end.`,
      );
    }
  }
  const closed = lintCalendars(plan, afterMs);
  return closed.length > 0 ? [...warnings, ...closed] : [...warnings, ...lintPassing(plan, afterMs)];
}

/** Warns about a calendar that does not open, and about calendars that are never open at the same time. */
function lintCalendars({ gates = [] }: FirePlan, afterMs: number): Warning[] {
  const within = `within ten years after ${new Date(afterMs).toISOString()}`;
  const alone = gates.flatMap(({ name, calendar }, index): Warning[] => {
    if (nextOpeningOfAll([calendar], afterMs) !== null) return [];
    const message = `The calendar ${name} does not open ${within}.`;
    return [{ code: "NEVER_FIRES", field: `calendars[${index}]`, message }];
  });
  if (alone.length > 0 || gates.length < 2) return alone;
  const calendars = gates.map(({ calendar }) => calendar);
  if (nextOpeningOfAll(calendars, afterMs) !== null) return [];
  const message = `The calendars are not open at the same time ${within}.`;
  return [{ code: "NEVER_FIRES", field: "calendars", message }];
}

/** Warns about schedules of which the calendars skip every fire time. */
function lintPassing(plan: FirePlan, afterMs: number): Warning[] {
  const share = Math.floor(PASSING_STEPS_OF_ALL / plan.schedules.length);
  const steps = Math.min(PASSING_STEPS_OF_ONE, share);
  return plan.schedules.flatMap((schedule, index): Warning[] => {
    const { atMs, skippedMs, closed } = nextPassing({ ...plan, schedules: [schedule] }, afterMs, { steps });
    if (atMs !== null || skippedMs === null) return [];
    const until = new Date(skippedMs).toISOString();
    const message = `All fire times of the schedule until ${until} are skipped, because they are outside the hours of ${closed.join(" and ")}.`;
    return [{ code: "NEVER_FIRES", field: `schedules[${index}]`, message }];
  });
}

function lintCrowds({ schedules, bounds }: FirePlan, crowds: readonly Crowd[]): Warning[] {
  const endMs = bounds?.endMs ?? Number.POSITIVE_INFINITY;
  return crowds.flatMap((crowd) => {
    const kind = schedules[crowd.schedule]?.kind;
    return kind === undefined || crowd.atMs > endMs ? [] : [lintCrowd(crowd, kind)];
  });
}

function lintRetries({ plan, afterMs, retryHorizonMs }: LintInput): Warning | null {
  if (retryHorizonMs === undefined) return null;
  let shortest = Number.POSITIVE_INFINITY;
  let previous = nextOf(plan.schedules, afterMs, plan.bounds);
  for (let n = 0; n < INTERVALS && previous !== null; n += 1) {
    const next = nextOf(plan.schedules, previous, plan.bounds);
    if (next !== null) shortest = Math.min(shortest, next - previous);
    previous = next;
  }
  if (retryHorizonMs <= shortest) return null;
  const message = `A trigger may be retried for ${retryHorizonMs / 1000} s, but the next one can be due ${shortest / 1000} s later. If they must not overlap, lower retryPolicy.maxAge or set overlapPolicy.`;
  return { code: "RETRY_LONGER_THAN_INTERVAL", field: "retryPolicy.maxAge", message };
}
