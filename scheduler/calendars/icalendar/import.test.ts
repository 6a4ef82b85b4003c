import { describe, expect, test } from "vitest";
import { importDates } from "./icalendar.ts";
import { importICalendar } from "./import.ts";

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
    ["a second calendar", calendar() + calendar(), 5],
    [
      "too many occurrences",
      calendar(
        ...event("DTSTART;VALUE=DATE:19000101", "RRULE:FREQ=DAILY"),
        ...event("DTSTART;VALUE=DATE:19000101", "RRULE:FREQ=DAILY"),
      ),
      9,
    ],
  ])("%s", (_, text, line) => {
    expect(() => importDates(text, options)).toThrow(
      expect.objectContaining({ line, message: expect.not.stringMatching(/undefined|is not a|max tries/) }),
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

  test("is stopped when a rule that no date matches keeps it busy", async () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    );
    await expect(importICalendar("proj_a", { ...options, text })).rejects.toMatchObject({
      reason: "CALENDAR_INVALID",
    });
  });
});
