import { describe, expect, test } from "vitest";
import { importDates } from "./calendars-icalendar.ts";
import { importICalendar } from "./calendars-import.ts";

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
    ["that is cancelled", ["DTSTART;VALUE=DATE:20260504", "STATUS:CANCELLED"], []],
    ["of long ago", ["DTSTART;VALUE=DATE:20010101"], []],
  ])("%s", (_, lines, dates) => {
    expect(datesOf(...lines)).toEqual(dates);
  });

  test("that recurs every year is expanded for five years", () => {
    const dates = datesOf("DTSTART;VALUE=DATE:19990714", "RRULE:FREQ=YEARLY");
    expect(dates).toEqual([2025, 2026, 2027, 2028, 2029, 2030].map((year) => `${year}-07-14`));
  });

  test("may have an occurrence moved, and one cancelled", () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260504", "RRULE:FREQ=WEEKLY;COUNT=3"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260511", "DTSTART;VALUE=DATE:20260513"),
      ...event("RECURRENCE-ID;VALUE=DATE:20260518", "DTSTART;VALUE=DATE:20260518", "STATUS:CANCELLED"),
    );
    expect(importDates(text, options)).toEqual(["2026-05-04", "2026-05-13"]);
  });

  test("may be in a zone of the file's own, and folded", () => {
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
    expect(() => importDates(text, options)).toThrow(expect.objectContaining({ line }));
  });
});

describe("the thread of an import", () => {
  test("answers with dates, or with CALENDAR_INVALID and the line", async () => {
    const text = calendar(...event("DTSTART;VALUE=DATE:20261225"));
    expect(await importICalendar({ ...options, text })).toEqual(["2026-12-25"]);
    await expect(importICalendar({ ...options, text: calendar("x") })).rejects.toMatchObject({
      reason: "CALENDAR_INVALID",
      violations: [{ field: "calendar.icalendar", description: expect.stringContaining("line 4") }],
    });
  });

  test("is ended when a rule that no date matches keeps it busy", async () => {
    const text = calendar(
      ...event("DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    );
    await expect(importICalendar({ ...options, text })).rejects.toMatchObject({ reason: "CALENDAR_INVALID" });
  });
});
