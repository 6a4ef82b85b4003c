import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import {
  CheckCalendarRequestSchema,
  UpdateCalendarRequestSchema,
} from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createCalendar, deleteCalendar, updateCalendar } from "./change.ts";
import { checkCalendar, readCalendar } from "./read.ts";
import { toCalendar } from "./spec.ts";

const target = { kind: { case: "webhook", value: { url: "https://acme.io/" } } } as const;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(Date.UTC(2026, 2, 1, 9));
});
afterEach(() => bench.close());

const make = (calendar: MessageInitShape<typeof CalendarSchema>) =>
  createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "office", ...calendar }));
const change = (calendar: MessageInitShape<typeof CalendarSchema>, ...paths: string[]) =>
  updateCalendar(
    bench.parts,
    PROJECT,
    create(UpdateCalendarRequestSchema, { calendar: { name: "office", ...calendar }, updateMask: { paths } }),
  );
const read = async () => toCalendar(await readCalendar(bench.parts.database, PROJECT, "office"));

/** Every second day from a day of 2026 on, so that none joins another in a range. */
const dates = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    new Date(Date.UTC(2026, 2, 1 + 2 * index)).toISOString().slice(0, 10),
  );
const ics = (...lines: string[]) =>
  ["BEGIN:VCALENDAR", "BEGIN:VEVENT", ...lines, "END:VEVENT", "END:VCALENDAR"].join("\r\n");
const tenDays = ics("DTSTART:20260302", "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=10");

describe("more dates than a calendar may have", () => {
  test("are reported for the import that adds them", async () => {
    const refused = {
      reason: "CALENDAR_INVALID",
      metadata: { value: "5005" },
      violations: [
        { field: "calendar.icalendar", description: expect.stringMatching(/10 imported and 4995.*5000/) },
      ],
    };
    await expect(make({ excludedDates: dates(4_995), icalendar: tenDays })).rejects.toMatchObject(refused);
    await make({ excludedDates: dates(4_995) });
    await expect(change({ icalendar: tenDays }, "icalendar")).rejects.toMatchObject(refused);
    expect((await read()).version).toBe(1);
  });

  test("are reported for the dates that are added to an import", async () => {
    await make({ icalendar: tenDays });
    await expect(change({ excludedDates: dates(4_995) }, "excluded_dates")).rejects.toMatchObject({
      reason: "CALENDAR_INVALID",
      violations: [{ field: "calendar.excludedDates" }],
    });
  });
});

test("an import that closes a calendar for ever is refused with the value and what to do", async () => {
  const windows = [{ days: ["MONDAY"], start: "09:00", end: "10:00" }];
  const excludedDates = ["2026-03-10/2400-12-31"];
  await make({ windows, excludedDates });
  const closing = change({ icalendar: ics("DTSTART:20260301", "DTEND:20260312") }, "icalendar");
  await expect(closing).rejects.toMatchObject({
    reason: "CALENDAR_NEVER_OPENS",
    metadata: {
      field: "calendar.icalendar",
      value: "1 imported dates",
      problem: expect.stringContaining("leave"),
    },
    violations: [{ field: "calendar.icalendar" }],
  });
  await expect(make({ name: "shut", excludedDates: ["--01-01/--12-31"] })).rejects.toMatchObject({
    metadata: { field: "calendar.excludedDates", value: "--01-01/--12-31" },
  });
});

test("an iCalendar text is not read unless the mask names it", async () => {
  await make({});
  await change({ timeZone: "Europe/Paris", icalendar: "nonsense" }, "time_zone");
  expect(await read()).toMatchObject({ timeZone: "Europe/Paris", importedDates: [] });
});

test("an error about a calendar that does not exist names it and the field", async () => {
  const missing = (field: string) => ({ reason: "CALENDAR_NOT_FOUND", violations: [{ field }] });
  const { parts } = bench;
  await expect(readCalendar(parts.database, PROJECT, "office")).rejects.toMatchObject(missing("name"));
  const named = { name: "office", etag: "" };
  await expect(deleteCalendar(parts, PROJECT, named)).rejects.toMatchObject(missing("name"));
  const check = create(CheckCalendarRequestSchema, { name: "office" });
  await expect(checkCalendar(parts, PROJECT, check)).rejects.toMatchObject(missing("name"));
  for (const calendar of [{ timeZone: "UTC" }, { icalendar: tenDays }])
    await expect(change(calendar)).rejects.toMatchObject(missing("calendar.name"));
});

test("a calendar in use, and a mask that names nothing, are refused with their fields", async () => {
  await make({});
  await bench.createJob(create(JobSchema, { name: "payroll", target, calendars: [{ name: "office" }] }));
  await expect(deleteCalendar(bench.parts, PROJECT, { name: "office", etag: "" })).rejects.toMatchObject({
    reason: "CALENDAR_IN_USE",
    violations: [{ field: "name", description: expect.stringMatching(/in use by 1 jobs, such as /) }],
  });
  await expect(change({ timeZone: "UTC" }, "zone")).rejects.toMatchObject({
    reason: "UPDATE_MASK_INVALID",
    violations: [{ field: "updateMask", description: expect.stringMatching(/"zone".*accepted: time_zone/) }],
  });
});
