import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import {
  CheckCalendarRequestSchema,
  ListCalendarsRequestSchema,
  UpdateCalendarRequestSchema,
} from "../../gen/easycron/v1/calendar_service_pb.ts";
import { toPageToken } from "../../mesh/page-token.ts";
import { calendarsToSettle } from "../calendars/calendars.sql.ts";
import { bindCalendars, gatesOf, gatesOfMany } from "../calendars/calendars.ts";
import { createCalendar, deleteCalendar } from "../calendars/change.ts";
import { checkCalendar, listCalendars, readCalendar } from "../calendars/read.ts";
import { toCalendar } from "../calendars/spec.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { deleteJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import { readJob } from "../reading/read-jobs.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createCalendarSettler } from "./calendars-settle.ts";

// A Sunday.
const START = Date.UTC(2026, 2, 1, 9);
const HOUR = 3_600_000;
const WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];
const office: MessageInitShape<typeof CalendarSchema> = {
  name: "office-hours",
  timeZone: "Europe/Paris",
  windows: [{ days: WEEKDAYS, start: "09:00", end: "17:30" }],
  excludedDates: ["--05-01"],
};

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const make = (calendar: MessageInitShape<typeof CalendarSchema> = office) =>
  createCalendar(bench.parts, PROJECT, create(CalendarSchema, calendar));
const change = (calendar: MessageInitShape<typeof CalendarSchema>, ...paths: string[]) => {
  const updateMask = { paths };
  return updateAndSettleCalendar(
    bench.parts,
    PROJECT,
    create(UpdateCalendarRequestSchema, { calendar, updateMask }),
  );
};
/** The calendars that have jobs to settle. */
const unsettled = async () => {
  const rows = await bench.parts.database.query(calendarsToSettle, ["infinity", "", 100]);
  return rows.map(({ uid }) => uid);
};
const check = (atMs: number) => {
  const request = { name: "office-hours", time: timestampFromMs(atMs) };
  return checkCalendar(bench.parts, PROJECT, create(CheckCalendarRequestSchema, request));
};
const bind = (job: JobRow, ...names: string[]) => {
  const named = names.map((name, index) => ({ name, field: `job.calendars[${index}].name` }));
  return bench.parts.database.transaction((tx) =>
    bindCalendars(tx, PROJECT, [{ jobUid: job.uid, names: named }]),
  );
};
const ics = (date: string) =>
  ["BEGIN:VCALENDAR", "BEGIN:VEVENT", `DTSTART;VALUE=DATE:${date}`, "END:VEVENT", "END:VCALENDAR"].join(
    "\r\n",
  );
const gates = (...names: string[]) =>
  gatesOf(
    bench.parts.database,
    bench.parts.zoneData,
    PROJECT,
    names.map((name) => ({ name, outside: "SKIP" as const })),
  );

describe("a calendar", () => {
  test("is created, read and listed", async () => {
    const made = toCalendar(await make());
    expect(made).toMatchObject({ ...office, version: 1, windows: [{ start: "09:00", end: "17:30" }] });
    expect(made.uid).toMatch(/^cal_[0-9a-z]{26}$/);
    await make({ name: "always" });
    expect(toCalendar(await readCalendar(bench.parts.database, PROJECT, "always")).timeZone).toBe("UTC");
    const request = create(ListCalendarsRequestSchema, { pageSize: 1 });
    const first = await listCalendars(bench.parts, PROJECT, request);
    expect(first.calendars.map(({ name }) => name)).toEqual(["always"]);
    request.pageToken = first.nextPageToken;
    const second = await listCalendars(bench.parts, PROJECT, request);
    expect(second.calendars.map(({ name }) => name)).toEqual(["office-hours"]);
    expect(second.nextPageToken).toBe("");
    request.pageToken = toPageToken("jobs", "always");
    await expect(listCalendars(bench.parts, PROJECT, request)).rejects.toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });

  test("with a name in use is refused, and a calendar of another project is not found", async () => {
    await make();
    await expect(make()).rejects.toMatchObject({ reason: "CALENDAR_ALREADY_EXISTS" });
    await expect(readCalendar(bench.parts.database, "proj_other", "office-hours")).rejects.toMatchObject({
      reason: "CALENDAR_NOT_FOUND",
    });
  });

  test.each([
    [
      "calendar.windows[0].start",
      "CALENDAR_INVALID",
      { windows: [{ days: ["MONDAY"], start: "9", end: "17:00" }] },
    ],
    [
      "calendar.windows[0].end",
      "CALENDAR_INVALID",
      { windows: [{ days: ["MONDAY"], start: "09:00", end: "25:00" }] },
    ],
    ["calendar.windows[0].days", "CALENDAR_INVALID", { windows: [{ start: "09:00", end: "17:00" }] }],
    [
      "calendar.windows[0].days[0]",
      "CALENDAR_INVALID",
      { windows: [{ days: ["Mon"], start: "09:00", end: "17:00" }] },
    ],
    ["calendar.excludedDates[1]", "CALENDAR_INVALID", { excludedDates: ["2026-12-25", "2026-02-30"] }],
    ["calendar.timeZone", "TIME_ZONE_UNKNOWN", { timeZone: "europe/paris" }],
    ["calendar.excludedDates", "CALENDAR_NEVER_OPENS", { excludedDates: ["--01-01/--12-31"] }],
  ])("that is wrong in %s is refused, and nothing is stored", async (field, reason, wrong) => {
    await expect(make({ name: "wrong", ...wrong })).rejects.toMatchObject({
      reason,
      violations: [{ field }],
    });
    const listed = await listCalendars(bench.parts, PROJECT, create(ListCalendarsRequestSchema));
    expect(listed.calendars).toEqual([]);
  });

  test("says whether it is open, and when that changes", async () => {
    await make();
    const monday = Date.UTC(2026, 2, 2, 8);
    const sunday = await check(START);
    expect(sunday.open).toBe(false);
    expect(sunday.changeTime && timestampMs(sunday.changeTime)).toBe(monday);
    const opened = await check(monday);
    expect(opened.open).toBe(true);
    expect(opened.changeTime && timestampMs(opened.changeTime)).toBe(monday + 8.5 * HOUR);
  });

  test("that is always open has no time of change", async () => {
    await make({ name: "office-hours" });
    expect(await check(START)).toEqual({ open: true });
  });
});

describe("a change of a calendar", () => {
  test("sets the fields of the mask, and adds no version when nothing changes", async () => {
    await make();
    const changed = toCalendar(await change({ name: "office-hours", excludedDates: [] }, "excluded_dates"));
    expect(changed).toMatchObject({ version: 2, excludedDates: [], timeZone: "Europe/Paris" });
    expect((await change({ name: "office-hours", timeZone: "Europe/Paris" })).version).toBe(2);
    expect(toCalendar(await change({ name: "office-hours" }, "*"))).toMatchObject({
      version: 3,
      timeZone: "UTC",
    });
    await expect(change({ name: "office-hours" }, "name")).rejects.toMatchObject({
      reason: "UPDATE_MASK_INVALID",
    });
  });

  test("imports dates beside those written by hand, and removes them again", async () => {
    await make({ ...office, icalendar: ics("20261225") });
    const read = async () => toCalendar(await readCalendar(bench.parts.database, PROJECT, "office-hours"));
    expect(await read()).toMatchObject({
      importedDates: ["2026-12-25"],
      excludedDates: ["--05-01"],
      icalendar: "",
    });
    await change({ name: "office-hours", excludedDates: ["--05-02"] }, "excluded_dates");
    expect(await read()).toMatchObject({ importedDates: ["2026-12-25"], excludedDates: ["--05-02"] });
    await change({ name: "office-hours", icalendar: ics("20261224") });
    expect(await read()).toMatchObject({ importedDates: ["2026-12-24"], version: 3 });
    expect((await check(Date.UTC(2026, 11, 24, 12))).open).toBe(false);
    await change({ name: "office-hours" }, "icalendar");
    expect(await read()).toMatchObject({ importedDates: [], excludedDates: ["--05-02"] });
  });

  test("with an outdated etag is refused", async () => {
    const { etag } = toCalendar(await make());
    await change({ name: "office-hours", etag, timeZone: "UTC" });
    await expect(change({ name: "office-hours", etag, timeZone: "Asia/Tokyo" })).rejects.toMatchObject({
      reason: "ETAG_MISMATCH",
    });
  });

  test("takes effect at the next use", async () => {
    await make();
    const [before] = await gates("office-hours");
    expect(before?.calendar.zone.name).toBe("Europe/Paris");
    await change({ name: "office-hours", timeZone: "Asia/Tokyo" });
    const [after] = await gates("office-hours");
    expect(after?.calendar.zone.name).toBe("Asia/Tokyo");
    expect((await gates("office-hours"))[0]?.calendar).toBe(after?.calendar);
  });

  test("withdraws triggers that its jobs handed over early, and leaves those of other jobs", async () => {
    await make();
    const bound = await bench.createJob(everySecond("bound"));
    const free = await bench.createJob(everySecond("free"));
    await bind(bound, "office-hours");
    await bench.tick.run();
    bench.setTime(START + 2_500);
    await change({ name: "office-hours", timeZone: "Asia/Tokyo" });
    expect((await bench.triggersOf(bound.uid)).length).toBe(2);
    expect((await bench.triggersOf(free.uid)).length).toBe(5);
    expect((await readJob(bench.parts, PROJECT, { name: "bound" })).epoch).toBe(2);
    expect(await unsettled()).toEqual([]);
  });

  test("whose settling was interrupted is finished later", async () => {
    const calendar = await make();
    const bound = await bench.createJob(everySecond("bound"));
    await bind(bound, "office-hours");
    bench.setTime(START + 2_500);
    bench.setDispatcherDown(true);
    expect((await change({ name: "office-hours", timeZone: "Asia/Tokyo" })).version).toBe(2);
    expect(await unsettled()).toEqual([calendar.uid]);
    bench.setDispatcherDown(false);
    bench.setTime(START + 62_500);
    const settler = createCalendarSettler(bench.parts, () => {});
    while ((await settler.round()).more);
    expect(await unsettled()).toEqual([]);
    expect((await readJob(bench.parts, PROJECT, { name: "bound" })).epoch).toBe(2);
  });
});

describe("a deletion of a calendar", () => {
  test("is refused while a living job refers to it", async () => {
    const { etag } = toCalendar(await make());
    const job = await bench.createJob(everySecond("payroll"));
    await bind(job, "office-hours");
    const request = { name: "office-hours", etag };
    await expect(deleteCalendar(bench.parts, PROJECT, request)).rejects.toMatchObject({
      reason: "CALENDAR_IN_USE",
      metadata: { count: "1", jobs: "payroll" },
    });
    await deleteJob(bench.parts, { projectId: PROJECT, name: "payroll" });
    await deleteCalendar(bench.parts, PROJECT, request);
    await expect(gates("office-hours")).rejects.toMatchObject({ reason: "CALENDAR_NOT_FOUND" });
    expect((await make()).version).toBe(1);
  });

  test("waits for a job that starts to refer to it, and is then refused", async () => {
    await make();
    const job = await bench.createJob(everySecond("payroll"));
    const outcomes = await Promise.allSettled([
      bind(job, "office-hours"),
      deleteCalendar(bench.parts, PROJECT, { name: "office-hours", etag: "" }),
    ]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("a job's reference to a calendar", () => {
  test("that does not exist is refused with the field", async () => {
    const job = await bench.createJob(everySecond("payroll"));
    await make();
    const missing = { reason: "CALENDAR_NOT_FOUND", violations: [{ field: "job.calendars[1].name" }] };
    await expect(bind(job, "office-hours", "none")).rejects.toMatchObject(missing);
    await expect(gates("office-hours", "none")).rejects.toMatchObject(missing);
    const many = await gatesOfMany(bench.parts.database, bench.parts.zoneData, [
      { projectId: PROJECT, references: [{ name: "none", outside: "SKIP" }] },
      { projectId: PROJECT, references: [{ name: "office-hours", outside: "DEFER" }] },
      { projectId: "proj_other", references: [{ name: "office-hours", outside: "DEFER" }] },
      { projectId: PROJECT, references: [] },
    ]);
    expect(many.map((found) => found?.length)).toEqual([undefined, 1, undefined, 0]);
  });

  test("is replaced by that of the next revision", async () => {
    await make();
    await make({ name: "other" });
    const job = await bench.createJob(everySecond("payroll"));
    await bind(job, "office-hours", "other");
    await bind(job, "other");
    await deleteCalendar(bench.parts, PROJECT, { name: "office-hours", etag: "" });
    await expect(deleteCalendar(bench.parts, PROJECT, { name: "other", etag: "" })).rejects.toMatchObject({
      reason: "CALENDAR_IN_USE",
    });
    await bind(job);
    await deleteCalendar(bench.parts, PROJECT, { name: "other", etag: "" });
  });
});
