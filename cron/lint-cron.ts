import { bitsAbove, lowestBit } from "./bits.ts";
import type { CronFields } from "./cron-fields.ts";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { daysInMonth } from "./local-time.ts";
import type { Warning } from "./warning.ts";

/** Returns the warnings that follow from the expression alone; `field` is the path to it. */
export function lintCron(fields: CronFields, field: string, jobsAtTopOfHour?: number): Warning[] {
  const warnings: Warning[] = [];
  if (fields.dayOfMonthRestricted && fields.dayOfWeekRestricted) {
    const message = "Both day fields are restricted: it fires on days that match either of them, not both.";
    warnings.push({ code: "DAY_OF_MONTH_OR_WEEKDAY", field, message });
  }
  warnings.push(...lintSteps(fields, field));
  const missed = monthsWithoutDay(fields);
  if (missed.length > 0) {
    const message = `Some of its days of the month do not exist in ${missed.join(", ")}; L is the last day of any month.`;
    warnings.push({ code: "MONTH_END_GAP", field, message });
  }
  if (jobsAtTopOfHour !== undefined && firesAtTopOfHour(fields)) {
    const message = `It fires at minute 0, as ${jobsAtTopOfHour} other jobs do; another minute, H or a flexible window spreads the load.`;
    warnings.push({ code: "TOP_OF_HOUR", field, message });
  }
  return warnings;
}

/** Tells whether every fire is at minute 0, where schedules crowd. */
export function firesAtTopOfHour(fields: CronFields): boolean {
  return fields.minutesLow === 1 && fields.minutesHigh === 0;
}

const MONTH_NAMES = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** What comes round where a step starts anew. */
const TURNS: ReadonlyMap<FieldKind, string> = new Map([
  [SECOND, "minute"],
  [MINUTE, "hour"],
  [HOUR, "day"],
  [DAY_OF_MONTH, "month"],
  [MONTH, "year"],
  [DAY_OF_WEEK, "week"],
]);

function lintSteps(fields: CronFields, field: string): Warning[] {
  const texts = fields.expression.split(" ");
  const kinds = [...TURNS.keys()].slice(6 - texts.length);
  const warnings: Warning[] = [];
  for (const [index, kind] of kinds.entries()) {
    const text = texts[index] ?? "";
    const step = Number(/^(?:\*|H|h|\d+)\/(\d+)$/.exec(text)?.[1] ?? 1);
    const uneven = kind === DAY_OF_MONTH ? step > 1 : kind.size % step !== 0;
    if (!uneven) continue;
    const message = `${text} in the ${kind.label} field starts anew with every ${TURNS.get(kind)}, so the last interval is not ${step} long.`;
    warnings.push({ code: "STEP_RESTARTS", field, message });
  }
  return warnings;
}

/**
 * The months of the expression that lack one of its days: a day, or the first of several in a row, past their end.
 * So "28-31" misses nothing, and "15,31" does. Steps have a warning of their own.
 */
function monthsWithoutDay(fields: CronFields): string[] {
  if (!fields.dayOfMonthRestricted || fields.expression.split(" ").at(-3)?.includes("/")) return [];
  const days = fields.daysOfMonth | fields.nearestWeekdays;
  const starts = days & ~(days << 1);
  const beforeLast = fields.daysBeforeLast;
  const deepest = beforeLast === 0 ? 0 : 31 - Math.clz32(beforeLast);
  return MONTH_NAMES.filter((_, index) => {
    const month = index + 1;
    if (((fields.months >>> month) & 1) === 0) return false;
    const length = daysInMonth(2001, month);
    const past = bitsAbove(starts, length);
    return (past !== 0 && lowestBit(past) > length) || deepest >= length;
  });
}
