import { DAY_SECONDS, dateOfDay, dayOfDate, weekdayOf } from "./local-time.ts";
import { type DayRule, daysOfPeriod, prepareDays } from "./recurrence-days.ts";
import type { RecurrenceRule } from "./recurrence-rule.ts";

/** Which part of a recurrence is wanted, and who counts the work. */
export interface RecurrenceRange {
  /** The first local day that is wanted. If the rule has a count, earlier days are yielded as well. */
  readonly fromDay: number;
  /** The last local day that is wanted, inclusive. */
  readonly lastDay: number;
  /** Is called before each piece of work, with its size: days or times to look at. It may throw, to end the work. */
  readonly spend: (size: number) => void;
}

/** The rule, prepared for one start. */
interface Recurrence {
  readonly rule: RecurrenceRule;
  readonly start: number;
  readonly startDay: number;
  readonly days: DayRule;
  /** Ascending seconds of a day. */
  readonly times: readonly number[];
}

interface Period {
  readonly first: number;
  readonly last: number;
}

/**
 * Yields the local seconds at which a rule recurs, ascending, from `start` on (a local second). A start that does not
 * fit the rule is not among them.
 *
 * Plan: periods of the rule's frequency follow each other, counted from the one of the start. The days of a period that
 * fit every part of the rule, each at every time of day of the rule, are its set. Of this set, positions choose. A
 * period without such a day has no occurrence: nothing is moved to another day.
 */
export function* recurrencesOf(
  rule: RecurrenceRule,
  start: number,
  { fromDay, lastDay, spend }: RecurrenceRange,
): Generator<number> {
  const recurrence = prepare(rule, start);
  spend(recurrence.times.length);
  const end = Math.min(rule.until, (lastDay + 1) * DAY_SECONDS - 1);
  const from = rule.count === Number.POSITIVE_INFINITY ? Math.max(start, fromDay * DAY_SECONDS) : start;
  let left = rule.count;
  let index = firstIndex(recurrence, Math.floor(from / DAY_SECONDS));
  for (; left > 0; index++) {
    const period = periodAt(recurrence, index);
    if (period.first * DAY_SECONDS > end) return;
    for (const second of setOf(recurrence, period, from, spend)) {
      if (second > end || left-- === 0) return;
      yield second;
    }
  }
}

/** Whether a rule recurs at its start: at a local second. */
export function fitsStart(rule: RecurrenceRule, start: number): boolean {
  const recurrence = prepare(rule, start);
  const [first] = setOf(recurrence, periodAt(recurrence, 0), start, () => {});
  return first === start;
}

function prepare(rule: RecurrenceRule, start: number): Recurrence {
  const startDay = Math.floor(start / DAY_SECONDS);
  const days = prepareDays(rule, startDay);
  return { rule, start, startDay, days, times: timesOf(rule, start - startDay * DAY_SECONDS) };
}

/** The times of day of a rule, ascending. What it leaves open comes from the start. */
function timesOf({ hours, minutes, seconds }: RecurrenceRule, start: number): number[] {
  const or = (given: ReadonlySet<number>, own: number) =>
    given.size === 0 ? [own] : [...given].sort((a, b) => a - b);
  return or(hours, Math.floor(start / 3600)).flatMap((hour) =>
    or(minutes, Math.floor(start / 60) % 60).flatMap((minute) =>
      or(seconds, start % 60).map((second) => hour * 3600 + minute * 60 + second),
    ),
  );
}

/**
 * Yields the set of a period, ascending, from the second `from` on. The set may have millions of seconds, so it is never
 * held as a whole.
 */
function* setOf(
  { rule, days, times }: Recurrence,
  { first, last }: Period,
  from: number,
  spend: RecurrenceRange["spend"],
): Generator<number> {
  const found = daysOfPeriod(days, first, last, spend);
  const at = (place: number) =>
    (found[Math.floor(place / times.length)] ?? 0) * DAY_SECONDS + (times[place % times.length] ?? 0);
  const size = found.length * times.length;
  if (rule.positions.size === 0) {
    const day = found.findIndex((each) => (each + 1) * DAY_SECONDS > from);
    if (day < 0) return;
    for (let place = day * times.length; place < size; place++) {
      if (at(place) >= from) yield at(place);
    }
    return;
  }
  const places = [...rule.positions].map((position) => (position > 0 ? position - 1 : size + position));
  const inside = places.filter((place) => place >= 0 && place < size);
  for (const place of [...new Set(inside)].sort((a, b) => a - b)) {
    if (at(place) >= from) yield at(place);
  }
}

function periodAt({ rule, startDay }: Recurrence, index: number): Period {
  const steps = index * rule.interval;
  if (rule.frequency === "DAILY") return { first: startDay + steps, last: startDay + steps };
  if (rule.frequency === "WEEKLY") {
    const first = weekOf(startDay, rule.weekStart) + 7 * steps;
    return { first, last: first + 6 };
  }
  const date = dateOfDay(startDay);
  const [year, month] = [date >> 9, (date >> 5) & 15];
  if (rule.frequency === "YEARLY") {
    return { first: dayOfDate(year + steps, 1, 1), last: dayOfDate(year + steps + 1, 1, 1) - 1 };
  }
  return { first: firstOfMonth(year, month + steps), last: firstOfMonth(year, month + steps + 1) - 1 };
}

/** Returns the index of the last period that begins on `day` or before it, or 0 if the start is later. */
function firstIndex({ rule, startDay }: Recurrence, day: number): number {
  const steps = () => {
    if (rule.frequency === "DAILY") return day - startDay;
    if (rule.frequency === "WEEKLY") return Math.floor((day - weekOf(startDay, rule.weekStart)) / 7);
    const [start, date] = [dateOfDay(startDay), dateOfDay(day)];
    const years = (date >> 9) - (start >> 9);
    return rule.frequency === "YEARLY" ? years : years * 12 + ((date >> 5) & 15) - ((start >> 5) & 15);
  };
  return day <= startDay ? 0 : Math.floor(steps() / rule.interval);
}

function weekOf(day: number, weekStart: number): number {
  return day - ((weekdayOf(day) - weekStart + 7) % 7);
}

/** Returns the first day of a month. Months beyond 12 are those of later years. */
function firstOfMonth(year: number, month: number): number {
  const months = month - 1;
  return dayOfDate(year + Math.floor(months / 12), (months % 12) + 1, 1);
}
