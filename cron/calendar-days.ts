import { addBits, type BitArray, createBits, nextBit } from "./bit-array.ts";
import { DAY_COUNT, FIRST_DAY } from "./calendar.ts";
import { dayOfDate, isLeapYear, weekdayOf } from "./local-time.ts";
import { FIRST_YEAR, LAST_YEAR } from "./zone-offsets.ts";

const DAY_MINUTES = 1440;
const FEBRUARY_29 = 59;

/**
 * Returns the open days of a calendar as the bits of `Calendar.days`. A day is open if it has a window, is in none of
 * the ranges (local days, both ends inclusive, in any order), and is not excluded every year (`yearly`, by the days
 * of a leap year). Takes 1 ms at most.
 */
export function findOpenDays(
  week: BitArray | null,
  ranges: ReadonlyArray<readonly [firstDay: number, lastDay: number]>,
  yearly: readonly boolean[],
): BitArray {
  const closed = createBits(DAY_COUNT);
  excludeRanges(closed, ranges);
  if (yearly.includes(true)) excludeYearly(closed, yearly);
  if (week !== null) excludeWeekdays(closed, week);
  return closed.map((word) => ~word);
}

function excludeRanges(closed: BitArray, ranges: ReadonlyArray<readonly [number, number]>): void {
  let done = Number.NEGATIVE_INFINITY;
  // Adds each day once, however many ranges contain it.
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    addBits(closed, Math.max(first, done) - FIRST_DAY, last + 1 - FIRST_DAY);
    done = Math.max(done, last + 1);
  }
}

function excludeYearly(closed: BitArray, yearly: readonly boolean[]): void {
  for (let year = FIRST_YEAR - 1; year <= LAST_YEAR + 1; year += 1) {
    let day = dayOfDate(year, 1, 1) - FIRST_DAY;
    const leap = isLeapYear(year);
    for (let place = 0; place < 366; place += 1) {
      if (place === FEBRUARY_29 && !leap) continue;
      if (yearly[place] === true) addBits(closed, day, day + 1);
      day += 1;
    }
  }
}

function excludeWeekdays(closed: BitArray, week: BitArray): void {
  for (let day = 0; day < 7; day += 1) {
    const start = weekdayOf(day + FIRST_DAY) * DAY_MINUTES;
    const minute = nextBit(week, start);
    if (minute >= 0 && minute < start + DAY_MINUTES) continue;
    for (let each = day; each < DAY_COUNT; each += 7) addBits(closed, each, each + 1);
  }
}
