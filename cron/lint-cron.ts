import { bitsAbove, hasOf60, lowestBit } from "./bits.ts";
import type { CronFields } from "./cron-fields.ts";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { daysInMonth } from "./local-time.ts";
import type { Warning } from "./warning.ts";

/** Returns the warnings that follow from the expression alone; `field` is the path to it. */
export function lintCron(fields: CronFields, field: string): Warning[] {
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

/** What comes round where a step starts anew, and which of the fields' values are set. */
const STEPPED: ReadonlyMap<
  FieldKind,
  Readonly<{ turn: string; has: (fields: CronFields, n: number) => boolean }>
> = new Map([
  [SECOND, { turn: "minute", has: (fields, n) => hasOf60(fields.secondsLow, fields.secondsHigh, n) }],
  [MINUTE, { turn: "hour", has: (fields, n) => hasOf60(fields.minutesLow, fields.minutesHigh, n) }],
  [HOUR, { turn: "day", has: (fields, n) => hasBit(fields.hours, n) }],
  [DAY_OF_MONTH, { turn: "month", has: (fields, n) => hasBit(fields.daysOfMonth, n) }],
  [MONTH, { turn: "year", has: (fields, n) => hasBit(fields.months, n) }],
  [DAY_OF_WEEK, { turn: "week", has: (fields, n) => hasBit(fields.daysOfWeek, n) }],
]);

function hasBit(set: number, n: number): boolean {
  return ((set >>> n) & 1) === 1;
}

function lintSteps(fields: CronFields, field: string): Warning[] {
  const texts = fields.expression.split(" ");
  const warnings: Warning[] = [];
  for (const [index, [kind, { turn, has }]] of [...STEPPED].slice(6 - texts.length).entries()) {
    const text = texts[index] ?? "";
    const distances = text.includes("/") ? distancesOf(kind, (n) => has(fields, n)) : [];
    const longest = Math.max(0, ...distances.slice(0, -1));
    const last = distances.at(-1) ?? longest;
    // A longer last interval is what a range with a step asks for, as "9-17/2" does.
    if (last >= longest) continue;
    const message = `${text} in the ${kind.label} field starts anew with every ${turn}: the interval at its end is ${last}, not ${longest}.`;
    warnings.push({ code: "STEP_RESTARTS", field, message });
  }
  return warnings;
}

/** The distances from each value of a field to the next, the first of the next turn following the last. */
function distancesOf(kind: FieldKind, has: (n: number) => boolean): number[] {
  const values = Array.from({ length: kind.size }, (_, n) => kind.min + n).filter(has);
  const next = [...values.slice(1), (values[0] ?? 0) + kind.size];
  return values.map((value, index) => (next[index] ?? value) - value);
}

/** Steps that are not given an end, in all items of the field. */
const OPEN_STEPS = /^(?:(?:\*|\d+|H)\/\d+(?:,|$))+$/i;

/**
 * The months of the expression that lack one of its days: a day, or the first of several in a row, past their end.
 * So "28-31" misses nothing, and "15,31" does. Steps without an end ("1/2") name no day; they have a warning of their own.
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
