import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { ownRelease } from "../zones/zone-data.ts";
import { checkCalendarSpec } from "./spec.ts";

const WORK = { days: ["MONDAY"], start: "09:00", end: "17:00" };

test("one error names all windows and dates of a calendar that are wrong, and the zone", () => {
  const windows = [WORK, { ...WORK, start: "9" }, { ...WORK, days: ["MON"] }, { ...WORK, end: "09:00" }];
  const excludedDates = ["2027-02-28", "2027-02-29", "--02-30", "2027-03-02/2027-03-01"];
  const wrong = ["windows[1].start", "windows[2].days[0]", "windows[3].end"].concat([
    "excludedDates[1]",
    "excludedDates[2]",
    "excludedDates[3]",
  ]);
  const violations = (fields: string[]) =>
    fields.map((field) => expect.objectContaining({ field: `calendar.${field}` }));
  const check = (timeZone: string) => () =>
    checkCalendarSpec(create(CalendarSchema, { name: "a", timeZone, windows, excludedDates }), ownRelease());
  expect(check("Europe/Paris")).toThrow(
    expect.objectContaining({ reason: "CALENDAR_INVALID", violations: violations(wrong) }),
  );
  expect(check("Mars/Olympus")).toThrow(
    expect.objectContaining({ reason: "TIME_ZONE_UNKNOWN", violations: violations(["timeZone", ...wrong]) }),
  );
});

test("a calendar whose windows and dates are right is compiled", () => {
  const calendar = create(CalendarSchema, { name: "a", windows: [WORK], excludedDates: ["--12-24/--01-01"] });
  expect(checkCalendarSpec(calendar, ownRelease()).week).not.toBeNull();
});
