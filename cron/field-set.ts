import type { CronFields } from "./cron-fields.ts";
import { ScheduleError, showValue } from "./errors.ts";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind } from "./field-kind.ts";
import { FieldItemError, parsePlainItem } from "./plain-item.ts";

/** The text of one field, in upper case. `expression` is the whole expression, for error messages. */
export type FieldText = Readonly<{ kind: FieldKind; text: string; seed: string; expression: string }>;

/** A set of numbers from 0 to 59 as two integers (see bits.ts). */
export type Sixty = { low: number; high: number };

/** Parses a field with 60 values (seconds, minutes). Throws a ScheduleError. */
export function parseSixty(field: FieldText): Sixty {
  const set = { low: 0, high: 0 };
  for (const item of splitItems(field)) {
    for (const value of parseItem(field, item)) {
      if (value < 30) set.low |= 1 << value;
      else set.high |= 1 << (value - 30);
    }
  }
  return set;
}

/** Parses a field with at most 32 values into one integer. Throws a ScheduleError. */
export function parseSet(field: FieldText): number {
  return splitItems(field).reduce((set, item) => set | parseItemSet(field, item), 0);
}

type DayOfMonthSets = Pick<
  CronFields,
  "daysOfMonth" | "daysBeforeLast" | "nearestWeekdays" | "lastWorkday" | "dayOfMonthRestricted"
>;

/** Parses the day-of-month field, with `?`, `L`, `L-3`, `15W` and `LW`. Throws a ScheduleError. */
export function parseDaysOfMonth(text: string, seed: string, expression: string): DayOfMonthSets {
  const field = { kind: DAY_OF_MONTH, text, seed, expression };
  let [daysOfMonth, daysBeforeLast, nearestWeekdays, lastWorkday] = [0, 0, 0, false];
  for (const item of text === "?" ? ["*"] : splitItems(field)) {
    const beforeLast = /^L(?:-(\d{1,2}))?$/.exec(item);
    const nearest = /^(\d{1,2})W$/.exec(item);
    if (item === "LW") lastWorkday = true;
    else if (beforeLast !== null) daysBeforeLast |= 1 << parseBeforeLast(field, item, beforeLast[1]);
    else if (nearest !== null) nearestWeekdays |= parseItemSet(field, item, nearest[1]);
    else daysOfMonth |= parseItemSet(field, item);
  }
  const dayOfMonthRestricted = text !== "*" && text !== "?";
  return { daysOfMonth, daysBeforeLast, nearestWeekdays, lastWorkday, dayOfMonthRestricted };
}

type DayOfWeekSets = Pick<
  CronFields,
  "daysOfWeek" | "nthDaysOfWeek" | "lastDaysOfWeek" | "dayOfWeekRestricted"
>;

/** Parses the day-of-week field, with `?`, `5#3` and `5L`. Throws a ScheduleError. */
export function parseDaysOfWeek(text: string, seed: string, expression: string): DayOfWeekSets {
  const field = { kind: DAY_OF_WEEK, text, seed, expression };
  const nthDaysOfWeek: [number, number][] = [];
  let [daysOfWeek, lastDaysOfWeek] = [0, 0];
  for (const item of text === "?" ? ["*"] : splitItems(field)) {
    const nth = /^(\w+)#(\d)$/.exec(item);
    const last = /^(\w+)L$/.exec(item);
    if (nth !== null)
      nthDaysOfWeek.push([parseDayOfWeek(field, item, nth[1]), parseNth(field, item, nth[2])]);
    else if (last !== null) lastDaysOfWeek |= 1 << parseDayOfWeek(field, item, last[1]);
    else if (item === "L") refuseItem(field, item, "L needs a day of the week before it, as in 5L");
    else daysOfWeek |= foldSunday(parseItemSet(field, item));
  }
  return { daysOfWeek, nthDaysOfWeek, lastDaysOfWeek, dayOfWeekRestricted: text !== "*" && text !== "?" };
}

function splitItems(field: FieldText): string[] {
  const items = field.text.split(",");
  if (items.includes("")) {
    refuse(field, `has an empty item in the ${field.kind.label} field`);
  }
  return items;
}

function parseItemSet(field: FieldText, item: string, part: string = item): number {
  return parseItem(field, item, part).reduce((set, value) => set | (1 << value), 0);
}

function parseItem(field: FieldText, item: string, part: string = item): readonly number[] {
  try {
    return parsePlainItem(field.kind, part, field.seed);
  } catch (error) {
    if (error instanceof FieldItemError) refuseItem(field, item, error.message);
    throw error;
  }
}

function parseBeforeLast(field: FieldText, item: string, text: string | undefined): number {
  const days = Number(text ?? 0);
  if (days > 30 || (text !== undefined && days < 1))
    refuseItem(field, item, "the number after L- is not from 1 to 30");
  return days;
}

function parseNth(field: FieldText, item: string, text: string | undefined): number {
  const nth = Number(text);
  if (nth < 1 || nth > 5) refuseItem(field, item, "the number after # is not from 1 to 5");
  return nth;
}

function parseDayOfWeek(field: FieldText, item: string, text: string | undefined): number {
  const [day = 0, ...others] = parseItem(field, item, text);
  if (others.length > 0 || text === "H")
    refuseItem(field, item, "# and L need exactly one day of the week before them");
  return day % 7;
}

function foldSunday(set: number): number {
  return (set | (set >>> 7)) & 127;
}

function refuseItem(field: FieldText, item: string, problem: string): never {
  refuse(field, `has "${showValue(item)}" in the ${field.kind.label} field, but ${showValue(problem)}`);
}

function refuse(field: FieldText, problem: string): never {
  throw new ScheduleError("cron.expression", field.expression, problem, field.kind.accepted);
}
