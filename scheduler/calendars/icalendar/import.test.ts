import { describe, expect, test } from "vitest";
import { canonicalZone } from "../../../cron/zone.ts";
import { importDates } from "./icalendar.ts";
import { importICalendar } from "./import.ts";
import { WINDOWS_ZONES } from "./windows-zones.ts";

const nowMs = Date.UTC(2026, 2, 1);
const options = { timeZone: "Europe/Paris", nowMs };
const calendar = (...lines: string[]) =>
  ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//t//EN", ...lines, "END:VCALENDAR", ""].join("\r\n");
const event = (...lines: string[]) => ["BEGIN:VEVENT", "UID:1", ...lines, "END:VEVENT"];
const datesOf = (...lines: string[]) => importDates(calendar(...event(...lines)), options);

describe("an imported event", () => {
  test.each<[string, string[], string[]]>([
    ["of one day", ["DTSTART;VALUE=DATE:20261225"], ["2026-12-25"]],
    [
      "of days, its end exclusive",
      ["DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"],
      ["2026-12-24/2026-12-26"],
    ],
    ["of a duration", ["DTSTART;VALUE=DATE:20261224", "DURATION:P2D"], ["2026-12-24/2026-12-25"]],
    [
      "in UTC that is on the next day here",
      ["DTSTART:20261224T230000Z", "DTEND:20261224T233000Z"],
      ["2026-12-25"],
    ],
    [
      "in another zone",
      ["DTSTART;TZID=Asia/Tokyo:20261225T070000", "DTEND;TZID=Asia/Tokyo:20261225T090000"],
      ["2026-12-24/2026-12-25"],
    ],
    ["that ends at midnight", ["DTSTART:20261224T090000", "DTEND:20261225T000000"], ["2026-12-24"]],
    [
      "that recurs",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3"],
      ["2026-05-04", "2026-05-11", "2026-05-18"],
    ],
    [
      "that recurs but for a date",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE;VALUE=DATE:20260511"],
      ["2026-05-04", "2026-05-18"],
    ],
    [
      "that recurs on named dates",
      ["DTSTART;VALUE=DATE:20260504", "RDATE;VALUE=DATE:20260601"],
      ["2026-05-04", "2026-06-01"],
    ],
    [
      "that recurs but for an instant in UTC",
      ["DTSTART;TZID=Europe/Paris:20260504T090000", "RRULE:FREQ=WEEKLY;COUNT=3", "EXDATE:20260511T070000Z"],
      ["2026-05-04", "2026-05-18"],
    ],
    [
      "that recurs in UTC but for an instant in a zone, and for a date",
      [
        "DTSTART:20260504T070000Z",
        "RRULE:FREQ=WEEKLY;COUNT=4",
        "EXDATE;TZID=Europe/Paris:20260511T090000",
        "EXDATE;VALUE=DATE:20260517,20260518",
      ],
      ["2026-05-04", "2026-05-25"],
    ],
    [
      "that recurs until an instant in UTC, inclusive",
      ["DTSTART;TZID=Europe/Paris:20260504T090000", "RRULE:FREQ=WEEKLY;UNTIL=20260518T070000Z"],
      ["2026-05-04", "2026-05-11", "2026-05-18"],
    ],
    [
      "that recurs until a date, inclusive",
      ["DTSTART;TZID=Europe/Paris:20260504T090000", "RRULE:FREQ=WEEKLY;UNTIL=20260518"],
      ["2026-05-04", "2026-05-11", "2026-05-18"],
    ],
    [
      "that recurs in periods",
      [
        "DTSTART:20260504T070000Z",
        "DURATION:PT1H",
        "RDATE;VALUE=PERIOD:20260601T070000Z/20260602T120000Z,20260610T070000Z/PT72H",
      ],
      ["2026-05-04", "2026-06-01/2026-06-02", "2026-06-10/2026-06-13"],
    ],
    [
      "that recurs in periods of a zone, but for one",
      [
        "DTSTART;TZID=Europe/Paris:20260504T090000",
        "RDATE;VALUE=PERIOD;TZID=Europe/Paris:20260601T090000/PT1H,20260602T090000/PT1H",
        "EXDATE:20260602T070000Z",
      ],
      ["2026-05-04", "2026-06-01"],
    ],
    [
      "whose date does not say that it is one",
      ["DTSTART:20261225", "DTEND:20261227"],
      ["2026-12-25/2026-12-26"],
    ],
    [
      "between two zones",
      ["DTSTART;TZID=Asia/Tokyo:20261225T100000", "DTEND;TZID=America/New_York:20261225T090000"],
      ["2026-12-25"],
    ],
    [
      "with properties of others",
      ["X_FOO;X_BAR=1:2", "DTSTAMP:nonsense", "DTSTART:20261225"],
      ["2026-12-25"],
    ],
    ["that is cancelled", ["DTSTART;VALUE=DATE:20260504", "STATUS:CANCELLED"], []],
    [
      "that has an empty rule, empty lists and separators at the end",
      [
        "DTSTART;VALUE=DATE:20260504",
        "RRULE:FREQ=WEEKLY;;COUNT=3;BYDAY=MO,,TU,;BYMONTH=;",
        "RDATE:",
        "EXRULE:",
      ],
      ["2026-05-04/2026-05-05", "2026-05-11"],
    ],
    [
      "whose start does not fit its rule, and counts as the first occurrence",
      ["DTSTART;VALUE=DATE:20260505", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3"],
      ["2026-05-05", "2026-05-11", "2026-05-18"],
    ],
    ["whose rule ended before its start", ["DTSTART:20260505", "RRULE:FREQ=DAILY;UNTIL=20260501"], []],
    [
      "with a rule that no date matches",
      ["DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"],
      ["2026-01-01"],
    ],
    [
      "with both a count and an end",
      ["DTSTART:20260504", "RRULE:FREQ=DAILY;COUNT=9;UNTIL=20260505"],
      ["2026-05-04/2026-05-05"],
    ],
    [
      "on the 31st, which most months do not have",
      ["DTSTART;VALUE=DATE:20260531", "RRULE:FREQ=MONTHLY;COUNT=3"],
      ["2026-05-31", "2026-07-31", "2026-08-31"],
    ],
    [
      "on dates, with times of day in its rule",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=DAILY;COUNT=3;BYHOUR=9,10"],
      ["2026-05-04/2026-05-06"],
    ],
    [
      "several times a day but for a date",
      ["DTSTART:20260504T090000", "RRULE:FREQ=DAILY;COUNT=6;BYHOUR=9,15", "EXDATE;VALUE=DATE:20260505"],
      ["2026-05-04", "2026-05-06"],
    ],
    [
      "on dates, with exceptions in a zone that is UTC",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Etc/UTC:20260504T220000"],
      ["2026-05-04", "2026-05-06"],
    ],
    [
      "that began before the first date and reaches into it",
      ["DTSTART;VALUE=DATE:20250125", "DURATION:P10D", "RRULE:FREQ=MONTHLY;UNTIL=20250301"],
      ["2025-02-28/2025-03-06"],
    ],
    [
      "that is on the last date here and on the next one in its zone",
      ["DTSTART;TZID=Asia/Tokyo:20300306T050000", "RRULE:FREQ=YEARLY"],
      ["2030-03-05", "2031-03-05"],
    ],
    ["of long ago in another zone", ["DTSTART;TZID=Asia/Tokyo:18000101T090000"], []],
    [
      "on dates, with exceptions at midnight in UTC",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20260504T220000Z,20260506T000000Z"],
      ["2026-05-04", "2026-05-07"],
    ],
    [
      "on dates, to the last second of a day in UTC",
      ["DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=DAILY;UNTIL=20260505T235959Z"],
      ["2026-05-04/2026-05-05"],
    ],
    [
      "on dates, with a time of day as its end",
      ["DTSTART;VALUE=DATE:20260504", "DTEND:20260505T220000Z"],
      ["2026-05-04/2026-05-05"],
    ],
    [
      "on dates, which ends within a day",
      ["DTSTART;VALUE=DATE:20260504", "DTEND:20260505T120000Z"],
      ["2026-05-04/2026-05-05"],
    ],
    [
      "in an unknown zone that says nothing, because the times are in UTC and the dates in no zone",
      [
        "DTSTART;TZID=Mars:20260504T090000Z",
        "RRULE:FREQ=DAILY;COUNT=3",
        "EXDATE;TZID=Mars;VALUE=DATE:20260505",
      ],
      ["2026-05-04", "2026-05-06"],
    ],
    [
      "whose lines are written twice",
      ["DTSTART:20260504", "STATUS:CONFIRMED", "DTSTART:20260504", "STATUS:CONFIRMED"],
      ["2026-05-04"],
    ],
    ["in the zone Z", ["DTSTART;TZID=Z:20260504T230000"], ["2026-05-05"]],
    [
      "in a zone with a path",
      ["DTSTART;TZID=/example.org/20260101_1/Asia/Tokyo:20260505T060000"],
      ["2026-05-04"],
    ],
    ["in a zone of Windows", ["DTSTART;TZID=Tokyo Standard Time:20260505T060000"], ["2026-05-04"]],
    [
      "of a year before 1900 that recurs",
      ["DTSTART;VALUE=DATE:16040714", "RRULE:FREQ=YEARLY;UNTIL=20270101"],
      ["2025-07-14", "2026-07-14"],
    ],
    ["of long ago", ["DTSTART;VALUE=DATE:20010101"], []],
  ])("%s", (_, lines, dates) => {
    expect(datesOf(...lines)).toEqual(dates);
  });

  test("is expanded for five years when it recurs every year", () => {
    const dates = datesOf("DTSTART;VALUE=DATE:19990714", "RRULE:FREQ=YEARLY");
    expect(dates).toEqual([2025, 2026, 2027, 2028, 2029, 2030].map((year) => `${year}-07-14`));
  });

  test("may have one occurrence moved and another cancelled", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260511", "DTSTART;VALUE=DATE:20260513"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260518", "DTSTART;VALUE=DATE:20260518", "STATUS:CANCELLED"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-13"]);
  });

  test("keeps recurring after an occurrence that was moved far away, whatever zone names it", () => {
    const text = calendar(
      ...event("DTSTART;TZID=Europe/Paris:20260504T090000", "RRULE:FREQ=WEEKLY;COUNT=4"),
      ...event("RECURRENCE-ID:20260511T070000Z", "DTSTART;TZID=Europe/Paris:20400513T090000"),
      ...event("RECURRENCE-ID;TZID=Asia/Tokyo:20260518T160000", "DTSTART:20260520T080000Z"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-20", "2026-05-25"]);
  });

  test("counts an occurrence at the time it was moved to from far away", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=YEARLY"),
      ...event("RECURRENCE-ID;VALUE=DATE:20400504", "DTSTART;VALUE=DATE:20260505"),
    );
    const years = [2027, 2028, 2029, 2030].map((year) => `${year}-05-04`);
    expect(importDates(text, options)).toEqual(["2026-05-04/2026-05-05", ...years]);
  });

  test("may have an occurrence moved together with all later ones", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=4"),
      ...event("RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260518", "DTSTART;VALUE=DATE:20260520"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-11", "2026-05-20", "2026-05-27"]);
  });

  test("may have an occurrence cancelled together with all later ones", () => {
    const text = calendar(
      ...event("DTSTART;TZID=Europe/Paris:20260504T090000", "RRULE:FREQ=WEEKLY;COUNT=4"),
      ...event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260518T070000Z", "DTSTART:20260518", "STATUS:CANCELLED"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-11"]);
  });

  test("may override an occurrence that the series does not have", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=2", "EXDATE;VALUE=DATE:20260511"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260601", "DTSTART;VALUE=DATE:20260602"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260511", "DTSTART;VALUE=DATE:20260512"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-06-02"]);
  });

  test("on dates may have an occurrence overridden that is named as midnight in UTC", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3"),
      ...event("RECURRENCE-ID:20260510T220000Z", "DTSTART;VALUE=DATE:20260513"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-13", "2026-05-18"]);
  });

  test("is replaced by one with a higher SEQUENCE, and so is what overrides an occurrence", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260507", "RRULE:FREQ=WEEKLY;COUNT=3", "SEQUENCE:2"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260514", "DTSTART;VALUE=DATE:20260516", "SEQUENCE:5"),
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3", "SEQUENCE:1"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260514", "DTSTART;VALUE=DATE:20260515", "SEQUENCE:4"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-07", "2026-05-16", "2026-05-21"]);
  });

  test("counts beside one with the same UID and the same SEQUENCE", () => {
    const text = calendar(...event("DTSTART;VALUE=DATE:20260504"), ...event("DTSTART;VALUE=DATE:20260601"));
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-06-01"]);
  });

  test("is read from a text that begins with a byte order mark, and may have an alarm", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20261225", "BEGIN:VALARM", "TRIGGER:nonsense", "END:VALARM"),
    );
    expect(importDates(`\ufeff${text}`, options)).toEqual(["2026-12-25"]);
  });

  test("may use a time zone that the file defines, and folded lines", () => {
    const text = calendar(
      ...[
        "BEGIN:VTIMEZONE",
        "TZID:Own Time",
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        "TZOFFSETFROM:+0900",
      ],
      ...["TZOFFSETTO:+0900", "END:STANDARD", "END:VTIMEZONE"],
      ...event("DTSTART;TZID=Own Ti", " me:20261225T070000", "DURATION:PT1H"),
    );
    expect(importDates(text, options)).toEqual(["2026-12-24"]);
  });
});

describe("a VTIMEZONE", () => {
  const zone = (name: string, ...parts: string[]) => [
    "BEGIN:VTIMEZONE",
    `TZID:${name}`,
    ...parts,
    "END:VTIMEZONE",
  ];
  const part = (from: string, to: string, ...lines: string[]) => [
    "BEGIN:STANDARD",
    `TZOFFSETFROM:${from}`,
    `TZOFFSETTO:${to}`,
    ...lines,
    "END:STANDARD",
  ];

  test("changes its offset when its rules and dates say so", () => {
    const own = zone(
      "Own",
      ...part("+0000", "+1200", "DTSTART:20000101T000000", "RRULE:FREQ=YEARLY;BYMONTH=6;BYMONTHDAY=1"),
      ...part("+1200", "+0000", "DTSTART:20000110T000000", "RDATE:20250610T000000,20260610T000000"),
    );
    // With the offset of twelve hours, 06:00 is on the evening before in Paris.
    const days = ["20260531", "20260602", "20260609", "20260611"];
    const text = calendar(...own, ...days.flatMap((day) => event(`DTSTART;TZID=Own:${day}T060000`)));
    expect(importDates(text, options)).toEqual(["2026-05-31/2026-06-01", "2026-06-08", "2026-06-11"]);
  });

  test("keeps the last offset when its rules have ended", () => {
    const own = zone(
      "Own",
      ...part(
        "+0000",
        "+0300",
        "DTSTART:19800601T000000",
        "RRULE:FREQ=YEARLY;BYMONTH=6;UNTIL=20160601T000000Z",
      ),
      ...part(
        "+0300",
        "+0000",
        "DTSTART:19801201T000000",
        "RRULE:FREQ=YEARLY;BYMONTH=12;UNTIL=20151201T000000Z",
      ),
    );
    const text = calendar(...own, ...event("DTSTART;TZID=Own:20261225T010000"));
    expect(importDates(text, { ...options, timeZone: "UTC" })).toEqual(["2026-12-24"]);
  });

  test("has its first offset before it changes", () => {
    const own = zone("Own", ...part("+0900", "-0900", "DTSTART:20270101T000000"));
    const text = calendar(...own, ...event("DTSTART;TZID=Own:20261225T070000"));
    expect(importDates(text, options)).toEqual(["2026-12-24"]);
  });

  test("tells which clock midnights in UTC are on, if it is the only one", () => {
    const own = (name: string) => zone(name, ...part("-0500", "-0500", "DTSTART:19700101T000000"));
    const lines = event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=DAILY;COUNT=4", "EXDATE:20260505T050000Z");
    const text = calendar(...own("Own"), ...lines);
    expect(importDates(text, { ...options, timeZone: "Asia/Tokyo" })).toEqual([
      "2026-05-04",
      "2026-05-06/2026-05-07",
    ]);
    const evening = event(
      "DTSTART;VALUE=DATE:20260504",
      "RRULE:FREQ=DAILY;COUNT=4",
      "EXDATE:20260504T190000Z",
    );
    const tokyo = zone("East", ...part("+0500", "+0500", "DTSTART:19700101T000000"));
    expect(importDates(calendar(...tokyo, ...evening), options)).toEqual([
      "2026-05-04",
      "2026-05-06/2026-05-07",
    ]);
    expect(importDates(calendar(...tokyo, ...own("Own"), ...evening), options)).toEqual([
      "2026-05-05/2026-05-07",
    ]);
  });

  test("belongs to its own calendar object, and serves others that have none", () => {
    const object = (offset: string) =>
      calendar(
        ...zone("Own", ...part(offset, offset, "DTSTART:19700101T000000")),
        ...event("DTSTART;TZID=Own:20260504T110000"),
      );
    expect(importDates(object("+1400") + object("-1200"), options)).toEqual(["2026-05-03", "2026-05-05"]);
    const without = calendar(...event("DTSTART;TZID=Own:20260601T110000"));
    expect(importDates(object("+1400") + without, options)).toEqual(["2026-05-03", "2026-05-31"]);
  });

  test.each<[name: string, lines: string[], line: number]>([
    ["no part", [], 4],
    ["a part without an offset", ["BEGIN:STANDARD", "DTSTART:19700101T000000", "END:STANDARD"], 6],
    ["an offset of nonsense", part("+0100", "+1h", "DTSTART:19700101T000000"), 8],
    ["a start of nonsense", part("+0100", "+0100", "DTSTART:never"), 9],
    ["a rule of nonsense", part("+0100", "+0100", "DTSTART:19700101T000000", "RRULE:FREQ=HOURLY"), 10],
  ])("that an event names and that has %s is refused with the line", (_, lines, line) => {
    const text = calendar(...zone("Own", ...lines), ...event("DTSTART;TZID=Own:20260504T120000"));
    expect(() => importDates(text, options)).toThrow(expect.objectContaining({ line }));
  });
});

test("every zone of Windows is one that an event may name", () => {
  expect(WINDOWS_ZONES.size).toBeGreaterThan(130);
  for (const [name, zone] of WINDOWS_ZONES)
    expect(`${name}: ${canonicalZone(zone)}`).toBe(`${name}: ${zone}`);
});

describe("a text that cannot be imported names the line", () => {
  test.each<[string, string, number]>([
    ["nothing", "", 1],
    ["a web page", "<html>", 1],
    ["what is no line", calendar("nonsense"), 4],
    ["an unknown date", calendar(...event("DTSTART;VALUE=DATE:20260230")), 6],
    ["no start", calendar(...event("SUMMARY:x")), 4],
    ["no end", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260101T000000", 2],
    ["a wrong end", calendar("BEGIN:VEVENT", "END:VTODO"), 5],
    ["an unknown zone", calendar(...event("DTSTART;TZID=Mars:20260101T000000")), 6],
    ["a frequency of hours", calendar(...event("DTSTART:20260101T000000Z", "RRULE:FREQ=HOURLY")), 7],
    ["a rule of nonsense", calendar(...event("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY;COUNT=many")), 7],
    ["no count", calendar(...event("DTSTART:20260101", "RRULE:FREQ=DAILY;COUNT=0")), 7],
    ["no interval", calendar(...event("DTSTART:20260101", "RRULE:FREQ=DAILY;INTERVAL=0")), 7],
    ["an interval backwards", calendar(...event("DTSTART:20260101", "RRULE:FREQ=DAILY;INTERVAL=-1")), 7],
    ["a month out of range", calendar(...event("DTSTART:20260101", "RRULE:FREQ=DAILY;BYMONTH=13")), 7],
    ["another scale", calendar(...event("DTSTART:20260101", "RRULE:RSCALE=HEBREW;FREQ=YEARLY")), 7],
    ["a rule of exceptions", calendar(...event("DTSTART:20260101", "EXRULE:FREQ=DAILY")), 7],
    ["an end before the start", calendar(...event("DTEND:20260101", "DTSTART:20260103")), 6],
    [
      "an end before the start in another zone",
      calendar(...event("DTSTART:20260101T090000Z", "DTEND;TZID=Asia/Tokyo:20260101T100000")),
      7,
    ],
    ["a duration backwards", calendar(...event("DTSTART:20260101", "DURATION:-P1D")), 7],
    ["a duration of nothing", calendar(...event("DTSTART:20260101", "DURATION:P")), 7],
    ["a time among dates", calendar(...event("DTSTART:20260101", "RDATE:20260102,20260103T090000")), 7],
    ["a time that is said to be a date", calendar(...event("DTSTART;VALUE=DATE:20260101T090000")), 6],
    [
      "a period that ends before it starts",
      calendar(...event("DTSTART:20260101T090000Z", "RDATE;VALUE=PERIOD:20260102T090000Z/20260101T090000Z")),
      7,
    ],
    ["an event within an event", calendar("BEGIN:VEVENT", ...event("DTSTART:20260101"), "END:VEVENT"), 5],
    ["a zone that cannot be read", calendar("BEGIN:VTIMEZONE", "TZOFFSETTO;:x", "END:VTIMEZONE"), 5],
    ["something beside the calendars", `${calendar()}BEGIN:VCARD\r\nEND:VCARD`, 5],
    ["a second start", calendar(...event("DTSTART:20260101", "DTSTART:20260102")), 7],
    ["a sequence of nonsense", calendar(...event("DTSTART:20260101", "SEQUENCE:two")), 7],
    [
      "a range backwards",
      calendar(...event("DTSTART:20260101", "RECURRENCE-ID;RANGE=THISANDPRIOR:20260101")),
      7,
    ],
    ["a list of starts", calendar(...event("DTSTART:20260101,20260102")), 6],
    [
      "a recurrence of an overriding event",
      calendar(
        ...event("DTSTART:20260504", "RRULE:FREQ=WEEKLY;COUNT=3"),
        ...event("RECURRENCE-ID:20260511", "DTSTART:20260513", "RRULE:FREQ=DAILY;COUNT=2"),
      ),
      13,
    ],
    [
      "too many occurrences",
      calendar(
        ...event("DTSTART;VALUE=DATE:20200101", "RRULE:FREQ=DAILY;COUNT=40000"),
        ...event(
          "DTSTART:20260101T000000",
          "RRULE:FREQ=DAILY;BYHOUR=0,2,4,6,8,10,12,14,16,18,20,22;BYMINUTE=0,10,20,30,40,50;BYSECOND=0,30",
        ),
      ),
      9,
    ],
    [
      "rules that look at too many days",
      calendar(
        ...Array.from({ length: 400 }, () =>
          event("DTSTART;VALUE=DATE:19000101", "RRULE:FREQ=DAILY;COUNT=9;BYMONTH=2;BYMONTHDAY=30"),
        ).flat(),
      ),
      969,
    ],
  ])("%s", (_, text, line) => {
    expect(() => importDates(text, options)).toThrow(
      expect.objectContaining({ line, message: expect.not.stringMatching(/undefined|is not a|max tries/) }),
    );
  });
});

describe("a rule that cannot be followed", () => {
  test.each<[name: string, rule: string, problem: string]>([
    ["recurs each hour", "FREQ=HOURLY", 'FREQ "HOURLY"'],
    ["recurs each minute", "FREQ=MINUTELY;BYHOUR=9", 'FREQ "MINUTELY"'],
    ["recurs each second", "FREQ=SECONDLY", 'FREQ "SECONDLY"'],
    ["has no frequency", "BYDAY=MO", "no FREQ"],
    ["has another scale", "RSCALE=HEBREW;FREQ=YEARLY", 'the part "RSCALE=HEBREW"'],
    ["has a part twice", "FREQ=DAILY;COUNT=2;COUNT=3", "COUNT twice"],
    ["has an end of nothing", "FREQ=DAILY;UNTIL=", 'UNTIL ""'],
    ["ends on a day that does not exist", "FREQ=DAILY;UNTIL=20270229", 'UNTIL "20270229"'],
    ["has a month out of range", "FREQ=YEARLY;BYMONTH=0", 'BYMONTH "0"'],
    ["has a day of the month out of range", "FREQ=MONTHLY;BYMONTHDAY=32", 'BYMONTHDAY "32"'],
    ["has a position out of range", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", 'BYSETPOS "0"'],
    ["has a weekday out of range", "FREQ=MONTHLY;BYDAY=0MO", 'BYDAY "0MO"'],
    ["has an hour out of range", "FREQ=DAILY;BYHOUR=24", 'BYHOUR "24"'],
    ["begins its weeks on no day", "FREQ=WEEKLY;WKST=XX", 'WKST "XX"'],
    ["has weeks but is not yearly", "FREQ=MONTHLY;BYWEEKNO=20", "BYWEEKNO with FREQ=MONTHLY"],
    ["has days of the year but is not yearly", "FREQ=DAILY;BYYEARDAY=20", "BYYEARDAY with FREQ=DAILY"],
    ["has days of the month but is weekly", "FREQ=WEEKLY;BYMONTHDAY=20", "BYMONTHDAY with FREQ=WEEKLY"],
    [
      "numbers its weekdays but is weekly",
      "FREQ=WEEKLY;BYDAY=1MO",
      "a number in BYDAY, such as 1MO, with FREQ=WEEKLY",
    ],
    [
      "numbers its weekdays and has weeks",
      "FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO",
      "BYWEEKNO and a number in BYDAY",
    ],
  ])("%s is refused with its line", (_, rule, problem) => {
    expect(() => datesOf("DTSTART:20260101", `RRULE:${rule}`)).toThrow(
      expect.objectContaining({ line: 7, message: expect.stringContaining(`line 7 has ${problem}`) }),
    );
  });
});

describe("the thread of an import", () => {
  test("answers with dates, or with CALENDAR_INVALID and the line", async () => {
    const text = calendar(...event("DTSTART;VALUE=DATE:20261225"));
    expect(await importICalendar("proj_a", { ...options, text })).toEqual(["2026-12-25"]);
    await expect(importICalendar("proj_a", { ...options, text: calendar("x") })).rejects.toMatchObject({
      reason: "CALENDAR_INVALID",
      violations: [{ field: "calendar.icalendar", description: expect.stringContaining("line 4") }],
    });
  });

  test("waits for imports of other projects instead of being refused, and is not blocked by many of one project", async () => {
    const text = calendar(...event("DTSTART;VALUE=DATE:20261225"));
    const asked = ["proj_a", "proj_b", "proj_a", "proj_c", "proj_a"];
    const answers = await Promise.all(asked.map((project) => importICalendar(project, { ...options, text })));
    expect(answers).toEqual(asked.map(() => ["2026-12-25"]));
  });

  test("is stopped when its rules keep it busy", async () => {
    const never = event("DTSTART;VALUE=DATE:19000101", "RRULE:FREQ=DAILY;COUNT=9;BYMONTH=2;BYMONTHDAY=30");
    const text = calendar(...Array.from({ length: 100 }, () => never).flat());
    await expect(importICalendar("proj_a", { ...options, text }, { workMs: 5 })).rejects.toMatchObject({
      reason: "CALENDAR_INVALID",
      violations: [
        { field: "calendar.icalendar", description: expect.stringContaining("longer than 0.005 s") },
      ],
    });
  });
});
