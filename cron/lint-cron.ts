import { bitsAbove, hasOf60, lowestBit } from "./bits.ts";
import type { CronFields } from "./cron-fields.ts";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { daysInMonth } from "./local-time.ts";
import type { Warning } from "./warning.ts";

/** Returns the warnings about a cron expression itself. `field` is the path to it. */
export function lintCron(fields: CronFields, field: string): Warning[] {
  const warnings: Warning[] = [];
  if (fields.dayOfMonthRestricted && fields.dayOfWeekRestricted) {
    const message =
      "Both day fields are restricted, so the schedule fires on every day that matches one of them; a day need not match both. To restrict only one field, write * in the other.";
    warnings.push({ code: "DAY_OF_MONTH_OR_WEEKDAY", field, message });
  }
  warnings.push(...lintSteps(fields, field));
  const missed = monthsWithoutDay(fields);
  if (missed.length > 0) {
    const message = `Some days of the schedule do not exist in ${missed.join(", ")}, so it does not fire on those days. For the last day of every month write L.`;
    warnings.push({ code: "MONTH_END_GAP", field, message });
  }
  return warnings;
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

/** For each field: the unit of time after which a step starts again, and whether a value is set. */
const STEPPED: ReadonlyMap<
  FieldKind,
  Readonly<{ cycle: string; has: (fields: CronFields, n: number) => boolean }>
> = new Map([
  [SECOND, { cycle: "minute", has: (fields, n) => hasOf60(fields.secondsLow, fields.secondsHigh, n) }],
  [MINUTE, { cycle: "hour", has: (fields, n) => hasOf60(fields.minutesLow, fields.minutesHigh, n) }],
  [HOUR, { cycle: "day", has: (fields, n) => hasBit(fields.hours, n) }],
  [DAY_OF_MONTH, { cycle: "month", has: (fields, n) => hasBit(fields.daysOfMonth, n) }],
  [MONTH, { cycle: "year", has: (fields, n) => hasBit(fields.months, n) }],
  [DAY_OF_WEEK, { cycle: "week", has: (fields, n) => hasBit(fields.daysOfWeek, n) }],
]);

function hasBit(set: number, n: number): boolean {
  return ((set >>> n) & 1) === 1;
}

function lintSteps(fields: CronFields, field: string): Warning[] {
  const texts = fields.expression.split(" ");
  const warnings: Warning[] = [];
  for (const [index, [kind, { cycle, has }]] of [...STEPPED].slice(6 - texts.length).entries()) {
    const text = texts[index] ?? "";
    const distances = text.includes("/") ? distancesOf(kind, (n) => has(fields, n)) : [];
    const longest = Math.max(0, ...distances.slice(0, -1));
    const last = distances.at(-1) ?? longest;
    // A range with a step asks for a longer last interval, as "9-17/2" does.
    if (last >= longest) continue;
    const message = `${text} in the ${kind.label} field starts again with every ${cycle}, so the last interval of the ${cycle} is ${last}, not ${longest}. For equal intervals use a rate schedule.`;
    warnings.push({ code: "STEP_RESTARTS", field, message });
  }
  return warnings;
}

/**
 * The distances from each value of a field to the next. After the last value comes the first value of the next cycle.
 */
function distancesOf(kind: FieldKind, has: (n: number) => boolean): number[] {
  const values = Array.from({ length: kind.size }, (_, n) => kind.min + n).filter(has);
  const next = [...values.slice(1), (values[0] ?? 0) + kind.size];
  return values.map((value, index) => (next[index] ?? value) - value);
}

/** A field in which every item is a step without an end, such as "5/15". */
const OPEN_STEPS = /^(?:(?:\*|\d+|H)\/\d+(?:,|$))+$/i;

/**
 * Returns the months of the expression in which one of its days does not exist. Of several days in a row only the
 * first counts: "28-31" has a day in every month, "15,31" does not. A step without an end ("1/2") names no day;
 * another warning is about it.
 */
function monthsWithoutDay(fields: CronFields): string[] {
  if (!fields.dayOfMonthRestricted || OPEN_STEPS.test(fields.expression.split(" ").at(-3) ?? "")) return [];
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
