import { nextOpeningOfAll } from "./calendar-gate.ts";
import { lintCron } from "./lint-cron.ts";
import { type Crowd, lintCrowd } from "./lint-crowd.ts";
import { lintOffsets } from "./lint-offsets.ts";
import { nextPassing } from "./next-passing.ts";
import type { FirePlan } from "./preview.ts";
import { nextOf } from "./schedule.ts";
import type { Warning } from "./warning.ts";

export type LintInput = Readonly<{
  plan: FirePlan;
  /** Warnings are about what is later than this. */
  afterMs: number;
  /** How many more triggers the job may make; left out, as many as it likes. */
  firesLeft?: number;
  /** How long a trigger may be retried; left out, it is not compared with the interval. */
  retryHorizonMs?: number;
  /** Where the schedules meet with too many other jobs at the top of an hour. */
  crowds?: readonly Crowd[];
}>;

/** How many coming intervals are compared with the retry horizon. */
const INTERVALS = 10;

/** How many fire times are looked at for one that the calendars let through: of one schedule, and of all together. */
const PASSING_STEPS_OF_ONE = 1_000;
const PASSING_STEPS_OF_ALL = 4_000;

/** How many fire times are looked at for the last one of a job with a limit; beyond, it has none for the linter. */
const LAST_FIRE_STEPS = 1_000;

/**
 * Returns the warnings about when a job fires after `afterMs`: that it never does, that it does on more or fewer days
 * than its expression seems to say, that it crowds the top of the hour, which offset changes of the two years from
 * then touch it, and that retries may outlast its interval. Empty for a job without schedules.
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
  message: "It has made as many triggers as it may.",
};

/** The plan with the job's end at the last fire time that its limit leaves, if that can be told. */
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

/** Warns of calendars that never open, each alone or all together. */
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

/** Warns of schedules that have fire times, all of which the calendars skip. */
function lintPassing(plan: FirePlan, afterMs: number): Warning[] {
  const share = Math.floor(PASSING_STEPS_OF_ALL / plan.schedules.length);
  const steps = Math.min(PASSING_STEPS_OF_ONE, share);
  return plan.schedules.flatMap((schedule, index): Warning[] => {
    const { atMs, skippedMs, closed } = nextPassing({ ...plan, schedules: [schedule] }, afterMs, { steps });
    if (atMs !== null || skippedMs === null) return [];
    const until = new Date(skippedMs).toISOString();
    const message = `None of its next fire times, until ${until}, falls into the hours of ${closed.join(" and ")}: all are skipped.`;
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
  const message = `A trigger may be retried for ${retryHorizonMs / 1000} s, but the next one can follow after ${shortest / 1000} s.`;
  return { code: "RETRY_LONGER_THAN_INTERVAL", field: "retryPolicy.maxAge", message };
}
