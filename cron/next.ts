import { bitsAbove, hasOf60, lowestBit, nextOf60 } from "./bits.ts";
import type { CronFields } from "./cron-fields.ts";
import { DEFAULT_DST_POLICY, type DstPolicy, LONGEST_GAP_SECONDS } from "./dst-policy.ts";
import { dateOfDay, dayOfDate, daysInMonth } from "./local-time.ts";
import { matchingDays } from "./month-days.ts";
import {
  ALL_SHAPES_SECONDS,
  FIRST_REPEATING_SECOND,
  FIRST_SECOND,
  LAST_SECOND,
  LAST_YEAR,
  type Span,
  skipTo,
  spanAt,
  toOffsets,
  type Zone,
} from "./zone-offsets.ts";

export type { DstPolicy } from "./dst-policy.ts";

const DAY = 86_400;

/**
 * Returns the first fire time strictly later than `afterMs` (both epoch milliseconds), or null if there is none
 * before the end of the year 2400. An instant before 1900 counts as the start of 1900. Throws a ScheduleError of
 * field "timeZone" for an unknown zone, and a RangeError if `afterMs` is NaN.
 *
 * The rule is what vixie cron, cronie and Cronos agree on (in full in README.md). A periodic job fires whenever the
 * local wall clock matches. Any other job fires once for each matching local time; `dst` decides about local times
 * that are skipped or repeated. The answer depends on `afterMs` only: a question from inside a repeated hour gives no
 * second fire.
 *
 * Plan: offsets change rarely, so the function walks over the spans between two changes. In each span it searches for
 * the first matching local second in a range (nextLocalSecond). The rule only moves the ends of this range
 * (localStart, localEnd). If all times of a schedule are always skipped, the walk ends when it has seen every kind of
 * year (ALL_SHAPES_SECONDS). This takes 4 ms in a zone that nothing has asked about yet, and 0.3 ms later.
 *
 * Speed: two million calls a second on one busy core of a small server; 0.7 million if fire times are decades apart.
 */
export function nextFireTime(
  fields: CronFields,
  zone: Zone,
  afterMs: number,
  dst: DstPolicy = DEFAULT_DST_POLICY,
): number | null {
  if (Number.isNaN(afterMs)) throw new RangeError("afterMs is not a number.");
  const offsets = toOffsets(zone);
  let from = Math.max(Math.floor(afterMs / 1000) + 1, FIRST_SECOND);
  let last = LAST_SECOND;
  while (from <= last) {
    const span = spanAt(offsets, from);
    const earliest = localStart(span, fields.periodic, dst);
    const local = from <= span.start ? earliest : Math.max(from + span.offset, earliest);
    const match = nextLocalSecond(fields, local);
    const end = localEnd(span, fields.periodic, dst);
    if (match < end) return Math.max(match - span.offset, span.start) * 1000;
    if (match === Number.POSITIVE_INFINITY) return null;
    from = skipTo(span, local, match);
    if (last === LAST_SECOND && from >= FIRST_REPEATING_SECOND) {
      last = Math.min(last, from + ALL_SHAPES_SECONDS);
    }
  }
  return null;
}

/**
 * Returns the first local second that counts in a span. It is usually the span's own first second. If the span begins
 * with a gap and the policy is FIRE_AT_END, it is the start of the gap, so that skipped local times fire at the end of
 * the gap. If the span begins with the second pass of a repeated hour and the policy is FIRST, it is the end of that
 * hour, so that the second pass does not fire.
 */
function localStart(span: Span, periodic: boolean, dst: DstPolicy): number {
  const jump = span.offset - span.offsetBefore;
  const before = span.start + span.offsetBefore;
  if (!periodic && jump > 0 && jump <= LONGEST_GAP_SECONDS && dst.gap === "FIRE_AT_END") return before;
  if (!periodic && jump < 0 && dst.overlap === "FIRST") return before;
  return span.start + span.offset;
}

/**
 * Returns the first local second that no longer counts in a span. It is usually the span's own end. If an hour is
 * repeated at the end of the span and the policy is SECOND, it is the start of that hour, so that the first pass does
 * not fire.
 */
function localEnd(span: Span, periodic: boolean, dst: DstPolicy): number {
  const repeats = span.offsetAfter < span.offset;
  return span.end + (!periodic && repeats && dst.overlap === "SECOND" ? span.offsetAfter : span.offset);
}

/**
 * Returns the first matching local second that is at least `from`, or Infinity if there is none before the end of
 * LAST_YEAR.
 */
export function nextLocalSecond(fields: CronFields, from: number): number {
  let day = Math.floor(from / DAY);
  const date = dateOfDay(day);
  let year = date >> 9;
  let month = (date >> 5) & 15;
  const dayOfMonth = date & 31;
  // The local day before the 1st of the month: adding a day of the month gives its local day.
  let monthStart = day - dayOfMonth;
  let days = 0;
  if ((fields.months >>> month) & 1) {
    days = matchingDays(fields, year, month, weekdayAfter(monthStart));
    if ((days >>> dayOfMonth) & 1) {
      const time = nextTimeOfDay(fields, from - day * DAY);
      if (time >= 0) return day * DAY + time;
    }
    days = bitsAbove(days, dayOfMonth);
  }
  while (days === 0) {
    const later = bitsAbove(fields.months, month);
    if (later === 0) {
      year += 1;
      if (year > LAST_YEAR) return Number.POSITIVE_INFINITY;
      month = lowestBit(fields.months);
      monthStart = dayOfDate(year, month, 1) - 1;
    } else {
      for (const target = lowestBit(later); month < target; month += 1)
        monthStart += daysInMonth(year, month);
    }
    days = matchingDays(fields, year, month, weekdayAfter(monthStart));
  }
  day = monthStart + lowestBit(days);
  return day * DAY + nextTimeOfDay(fields, 0);
}

/** The weekday of the day after a local day. */
function weekdayAfter(localDay: number): number {
  return (((localDay + 5) % 7) + 7) % 7;
}

/** Returns the first matching second of the day that is at least `from`, or -1. */
function nextTimeOfDay(fields: CronFields, from: number): number {
  const hour = (from / 3600) | 0;
  if ((fields.hours >>> hour) & 1) {
    const minute = ((from - hour * 3600) / 60) | 0;
    if (hasOf60(fields.minutesLow, fields.minutesHigh, minute)) {
      const second = nextOf60(fields.secondsLow, fields.secondsHigh, from % 60);
      if (second >= 0) return from - (from % 60) + second;
    }
    const next = nextOf60(fields.minutesLow, fields.minutesHigh, minute + 1);
    if (next >= 0) return hour * 3600 + next * 60 + nextOf60(fields.secondsLow, fields.secondsHigh, 0);
  }
  const later = bitsAbove(fields.hours, hour);
  if (later === 0) return -1;
  const minute = nextOf60(fields.minutesLow, fields.minutesHigh, 0);
  return lowestBit(later) * 3600 + minute * 60 + nextOf60(fields.secondsLow, fields.secondsHigh, 0);
}
