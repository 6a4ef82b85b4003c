import { describe, expect, test } from "vitest";
import { type CronDialect, parseCron } from "./expression.ts";
import { type DstPolicy, nextFireTime } from "./next.ts";

const NEW_YORK = "America/New_York";

function fires(
  expression: string,
  zone: string,
  after: string,
  count: number,
  dst?: DstPolicy,
  dialect: CronDialect = "STANDARD",
): string[] {
  const fields = parseCron(expression, { dialect });
  const found: string[] = [];
  let time = Date.parse(after);
  while (found.length < count) {
    const next = nextFireTime(fields, zone, time, dst);
    if (next === null) return [...found, "never"];
    found.push(new Date(next).toISOString().replace(/(:00)?\.000Z$/, "Z"));
    time = next;
  }
  return found;
}

/** Rows of [expression, zone, after, fire times] in UTC, without seconds when they are zero. */
type Row = [expression: string, zone: string, after: string, expected: string];

function expectRow(expression: string, zone: string, after: string, expected: string, dst?: DstPolicy): void {
  const times = expected.split(" ");
  expect(fires(expression, zone, after, times.length, dst).join(" ")).toBe(expected);
}

describe("nextFireTime where a zone's clock jumps", () => {
  test.each<Row>([
    // Fixed times fire at the end of a gap. Several times in one gap fire once.
    ["30 2 * * *", NEW_YORK, "2026-03-07T12:00:00Z", "2026-03-08T07:00Z 2026-03-09T06:30Z"],
    ["0,30 2 * * *", NEW_YORK, "2026-03-07T12:00:00Z", "2026-03-08T07:00Z 2026-03-09T06:00Z"],
    ["0 2,3 * * *", NEW_YORK, "2026-03-07T12:00:00Z", "2026-03-08T07:00Z 2026-03-09T06:00Z"],
    ["30 2 * * *", "Europe/Paris", "2027-03-27T12:00:00Z", "2027-03-28T01:00Z 2027-03-29T00:30Z"],
    // They fire in the first pass of a repeated hour. A question from inside the second pass gives no second fire.
    ["30 1 * * *", NEW_YORK, "2026-11-01T00:00:00Z", "2026-11-01T05:30Z 2026-11-02T06:30Z"],
    ["30 1 * * *", NEW_YORK, "2026-11-01T06:01:00Z", "2026-11-02T06:30Z"],
    [
      "0,30 1-2 * * *",
      NEW_YORK,
      "2026-11-01T05:15:00Z",
      "2026-11-01T05:30Z 2026-11-01T07:00Z 2026-11-01T07:30Z",
    ],
    // Periodic jobs fire whenever the local time matches.
    ["0 * * * *", NEW_YORK, "2026-03-08T05:30:00Z", "2026-03-08T06:00Z 2026-03-08T07:00Z 2026-03-08T08:00Z"],
    ["0 * * * *", NEW_YORK, "2026-11-01T04:30:00Z", "2026-11-01T05:00Z 2026-11-01T06:00Z 2026-11-01T07:00Z"],
    [
      "*/30 1 * * *",
      NEW_YORK,
      "2026-11-01T05:10:00Z",
      "2026-11-01T05:30Z 2026-11-01T06:00Z 2026-11-01T06:30Z",
    ],
    ["* 2 * * *", NEW_YORK, "2026-03-08T00:00:00Z", "2026-03-09T06:00Z"],
    [
      "15 */2 * * *",
      NEW_YORK,
      "2026-03-08T05:00:00Z",
      "2026-03-08T05:15Z 2026-03-08T08:15Z 2026-03-08T10:15Z",
    ],
    // Half-hour shifts.
    ["0 12 * * *", "Australia/Lord_Howe", "2026-04-04T02:00:00Z", "2026-04-05T01:30Z 2026-04-06T01:30Z"],
    ["0 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T15:30Z 2026-10-04T15:00Z"],
    ["15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T15:30Z 2026-10-04T15:15Z"],
    ["45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T14:45Z 2026-04-05T15:15Z"],
    [
      "*/15 * * * *",
      "Australia/Lord_Howe",
      "2026-04-04T14:40:00Z",
      "2026-04-04T14:45Z 2026-04-04T15:00Z 2026-04-04T15:15Z 2026-04-04T15:30Z",
    ],
    // 45-minute zone: the gap is from 02:45 to 03:45.
    ["45 2 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z", "2026-09-26T14:00Z 2026-09-27T13:00Z"],
    ["45 3 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z", "2026-09-26T14:00Z 2026-09-27T14:00Z"],
    // A gap at the end of the local day, and repeated and missing midnights.
    ["30 23 * * *", "America/Nuuk", "2026-03-28T12:00:00Z", "2026-03-29T01:00Z 2026-03-30T00:30Z"],
    ["15 23 * * *", "America/Scoresbysund", "2026-03-28T12:00:00Z", "2026-03-29T01:00Z 2026-03-30T00:15Z"],
    ["0 0 * * *", "America/Havana", "2026-10-31T12:00:00Z", "2026-11-01T04:00Z 2026-11-02T05:00Z"],
    ["0 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", "2026-03-08T05:00Z 2026-03-09T04:00Z"],
    ["0 0 * * *", "Atlantic/Azores", "2026-10-24T12:00:00Z", "2026-10-25T00:00Z 2026-10-26T01:00Z"],
    ["0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00Z 2018-11-05T02:00Z"],
    // A two-hour shift.
    ["0 2 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z", "2026-10-25T00:00Z 2026-10-26T02:00Z"],
    ["30 1,2 * * *", "Antarctica/Troll", "2026-03-29T00:00:00Z", "2026-03-29T01:00Z 2026-03-29T23:30Z"],
    // A gap of exactly three hours still counts as a gap.
    ["30 1 * * *", "Antarctica/Casey", "2020-10-03T00:00:00Z", "2020-10-03T16:01Z 2020-10-04T14:30Z"],
    // Samoa had no 30 December 2011.
    [
      "0 12 * * *",
      "Pacific/Apia",
      "2011-12-29T00:00:00Z",
      "2011-12-29T22:00Z 2011-12-30T22:00Z 2011-12-31T22:00Z",
    ],
    ["0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-29T22:00Z"],
    // Ramadan in Morocco: back to UTC in February, forward again in March 2026.
    ["30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z", "2026-02-15T01:30Z 2026-02-16T02:30Z"],
    ["30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00:00Z", "2026-03-22T02:00Z 2026-03-23T01:30Z"],
  ])("%s in %s after %s fires at %s", expectRow);

  const skipBoth: DstPolicy = { gap: "SKIP", overlap: "BOTH" };
  const second: DstPolicy = { gap: "FIRE_AT_END", overlap: "SECOND" };
  test.each<[...Row, DstPolicy]>([
    ["30 2 * * *", NEW_YORK, "2026-03-07T12:00:00Z", "2026-03-09T06:30Z", skipBoth],
    ["30 1 * * *", NEW_YORK, "2026-11-01T00:00:00Z", "2026-11-01T05:30Z 2026-11-01T06:30Z", skipBoth],
    ["30 1 * * *", NEW_YORK, "2026-11-01T00:00:00Z", "2026-11-01T06:30Z 2026-11-02T06:30Z", second],
    ["30 1 * * *", NEW_YORK, "2026-11-01T05:45:00Z", "2026-11-01T06:30Z", second],
    ["0 1 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z", "2026-10-25T01:00Z 2026-10-26T01:00Z", second],
    ["0 0 * * *", "America/Havana", "2026-10-31T12:00:00Z", "2026-11-01T05:00Z 2026-11-02T05:00Z", second],
    ["30 2 8-14 3 *", NEW_YORK, "2026-03-07T12:00:00Z", "2026-03-09T06:30Z", skipBoth],
    ["30 2 * 3 SUN#2", NEW_YORK, "2026-03-07T12:00:00Z", "never", skipBoth],
  ])("%s in %s after %s fires at %s under another policy", expectRow);
});

/** Series of fire times from the facts of these projects' test suites. next.suite-facts.test.ts has them one by one. */
describe("nextFireTime agrees with other schedulers' test suites:", () => {
  test.each<Row>([
    // robfig/cron: ordinary steps, month ends, leap days and impossible dates.
    ["*/15 * * * *", "UTC", "2012-07-09T14:59:59Z", "2012-07-09T15:00Z"],
    ["20-35/15 * * * *", "UTC", "2012-07-09T15:45:00Z", "2012-07-09T16:20Z"],
    ["*/15 * * * *", "UTC", "2012-12-31T23:46:00Z", "2013-01-01T00:00Z"],
    ["0 0 * FEB MON", "UTC", "2012-07-09T23:35:00Z", "2013-02-04T00:00Z"],
    ["0 0 29 FEB ?", "UTC", "2012-07-09T23:35:00Z", "2016-02-29T00:00Z"],
    ["0 0 30 FEB ?", "UTC", "2012-07-09T23:35:00Z", "never"],
    ["0 0 31 APR ?", "UTC", "2012-07-09T23:35:00Z", "never"],
    ["0 * * * ?", NEW_YORK, "2012-03-11T05:00:00Z", "2012-03-11T06:00Z 2012-03-11T07:00Z"],
    ["0 * * * ?", NEW_YORK, "2012-11-04T04:00:00Z", "2012-11-04T05:00Z 2012-11-04T06:00Z 2012-11-04T07:00Z"],
    // One of the day fields must match: robfig/cron, fugit and croniter. Cronos wants both to match.
    ["0 0 13 * FRI", "UTC", "2017-01-01T00:00:00Z", "2017-01-06T00:00Z 2017-01-13T00:00Z 2017-01-20T00:00Z"],
    // Cronos: first pass once, gap to its end, L, W and #.
    ["30 1 * * *", NEW_YORK, "2016-11-06T04:00:00Z", "2016-11-06T05:30Z 2016-11-07T06:30Z"],
    ["30 2 * * *", NEW_YORK, "2016-03-13T05:00:00Z", "2016-03-13T07:00Z 2016-03-14T06:30Z"],
    ["0 0 L * *", "UTC", "2016-01-31T12:00:00Z", "2016-02-29T00:00Z 2016-03-31T00:00Z"],
    ["0 0 L-1 * *", "UTC", "2016-12-31T00:00:00Z", "2017-01-30T00:00Z 2017-02-27T00:00Z"],
    ["0 0 LW * *", "UTC", "2017-01-01T00:00:00Z", "2017-01-31T00:00Z 2017-02-28T00:00Z 2017-03-31T00:00Z"],
    ["0 0 * * 5L", "UTC", "2017-01-01T00:00:00Z", "2017-01-27T00:00Z 2017-02-24T00:00Z 2017-03-31T00:00Z"],
    ["0 0 * * MON#1", "UTC", "2017-01-01T00:00:00Z", "2017-01-02T00:00Z 2017-02-06T00:00Z"],
    // Quartz: the nearest weekday never leaves its month, and the fifth of a weekday skips months.
    ["0 0 15W * *", "UTC", "2021-08-01T00:00:00Z", "2021-08-16T00:00Z 2021-09-15T00:00Z 2021-10-15T00:00Z"],
    ["0 0 1W * *", "UTC", "2022-09-30T00:00:00Z", "2022-10-03T00:00Z 2022-11-01T00:00Z"],
    ["0 0 31W * *", "UTC", "2021-10-01T00:00:00Z", "2021-10-29T00:00Z 2021-12-31T00:00Z"],
    ["0 0 LW * *", "UTC", "2021-10-01T00:00:00Z", "2021-10-29T00:00Z 2021-11-30T00:00Z"],
    ["0 10 * * FRI#5", "UTC", "2021-01-01T12:00:00Z", "2021-01-29T10:00Z 2021-04-30T10:00Z"],
    ["0 12 ? * FRI#3", "UTC", "2021-01-01T00:00:00Z", "2021-01-15T12:00Z 2021-02-19T12:00Z"],
    // croniter: short months are skipped, Sunday is 0 and 7, wrapping ranges.
    ["0 0 31 * *", "UTC", "2010-01-31T12:00:00Z", "2010-03-31T00:00Z 2010-05-31T00:00Z"],
    ["0 0 * * 7", "UTC", "2010-01-25T00:00:00Z", "2010-01-31T00:00Z 2010-02-07T00:00Z"],
    ["0 22-2 * * *", "UTC", "2010-01-25T21:30:00Z", "2010-01-25T22:00Z 2010-01-25T23:00Z 2010-01-26T00:00Z"],
    // fugit, Oban, Temporal: days and months by name, ends of months.
    ["0 9 * * MON-FRI", "UTC", "2021-01-01T10:00:00Z", "2021-01-04T09:00Z 2021-01-05T09:00Z"],
    ["0 9 L DEC *", "Asia/Tokyo", "2020-12-31T00:00:00Z", "2021-12-31T00:00Z"],
    ["0 0 * * SAT,SUN", "UTC", "2021-01-03T01:00:00Z", "2021-01-09T00:00Z 2021-01-10T00:00Z"],
    ["5/15 * * * *", "UTC", "2021-01-03T01:00:00Z", "2021-01-03T01:05Z 2021-01-03T01:20Z"],
    // cron-parser, croner: leap years of centuries, and days that are 28 years apart.
    ["0 0 29 2 *", "UTC", "2096-02-28T00:00:00Z", "2096-02-29T00:00Z 2104-02-29T00:00Z 2108-02-29T00:00Z"],
    ["0 0 * 2 SAT#5", NEW_YORK, "2080-03-01T00:00:00Z", "2116-02-29T05:00Z"],
    ["59 23 31 12 *", "Pacific/Kiritimati", "2099-01-01T00:00:00Z", "2099-12-31T09:59Z 2100-12-31T09:59Z"],
  ])("%s in %s after %s fires at %s", expectRow);
});

test("nextFireTime supports seconds", () => {
  expect(fires("*/20 30 2 * * *", NEW_YORK, "2026-03-09T06:30:00Z", 3, undefined, "WITH_SECONDS")).toEqual([
    "2026-03-09T06:30:20Z",
    "2026-03-09T06:30:40Z",
    "2026-03-10T06:30Z",
  ]);
});

test("nextFireTime is strictly later than the given instant, to the millisecond", () => {
  const fields = parseCron("* * * * *");
  expect(nextFireTime(fields, "UTC", 59_999)).toBe(60_000);
  expect(nextFireTime(fields, "UTC", 60_000)).toBe(120_000);
  expect(nextFireTime(fields, "UTC", 59_999.9)).toBe(60_000);
  expect(nextFireTime(fields, "UTC", -1)).toBe(0);
});

test("nextFireTime returns nothing before 1900 or after 2400, and refuses NaN", () => {
  const daily = parseCron("0 0 * * *");
  expect(nextFireTime(daily, "UTC", Number.NEGATIVE_INFINITY)).toBe(Date.UTC(1900, 0, 1));
  expect(nextFireTime(daily, "UTC", Date.UTC(2400, 11, 30))).toBe(Date.UTC(2400, 11, 31));
  expect(nextFireTime(daily, "UTC", Date.UTC(2400, 11, 31))).toBeNull();
  expect(nextFireTime(daily, "UTC", Number.POSITIVE_INFINITY)).toBeNull();
  expect(nextFireTime(daily, "UTC", Number.MAX_VALUE)).toBeNull();
  expect(() => nextFireTime(daily, "UTC", Number.NaN)).toThrow(RangeError);
});
