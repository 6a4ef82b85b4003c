import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { createCalendar, updateCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { deleteJob, pauseJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { skipsBetween } from "../job/skips.sql.ts";
import { readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

// A Monday.
const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const reference = { projectId: PROJECT, name: "payroll" };

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(async () => {
  const row = await readJob(bench.parts, PROJECT, reference).catch(() => undefined);
  const audit = row && (await auditJob(bench.parts, row, START, bench.parts.clock.now()));
  expect(audit?.differences ?? []).toEqual([]);
  await bench.close();
});

/** A job that fires every minute. */
const make = (fields: JsonObject = {}): Promise<JobRow> =>
  bench.createJob(
    fromJson(JobSchema, {
      name: "payroll",
      schedules: [{ cron: { expression: "* * * * *" } }],
      target: { webhook: { url: "https://example.com/" } },
      ...fields,
    }),
  );
/** Ticks at an instant, in minutes from the start. */
const at = async (minutes: number) => {
  bench.setTime(START + minutes * MINUTE);
  while ((await bench.tick.run()).more);
};
const minutes = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / MINUTE);
const update = (fields: JsonObject) =>
  updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: fromJson(JobSchema, { name: "payroll", ...fields }) }),
  );

describe("a flexible window", () => {
  test("delays each trigger by the same time, and before the next fire time", async () => {
    const job = await make({ flexibleWindow: "3600s" });
    for (let minute = 0; minute < 3; minute += 0.1) await at(minute);
    const delays = (await bench.triggersOf(job.uid)).map(({ effectiveMs, atMs }) => effectiveMs - atMs);
    expect(new Set(delays).size).toBe(1);
    expect(delays[0]).toBeGreaterThan(0);
    expect(delays[0]).toBeLessThan(MINUTE);
  });

  test("lets a change withdraw a delayed trigger: an update delivers it again, a pause skips it", async () => {
    const hourly = { schedules: [{ cron: { expression: "0 * * * *" } }], flexibleWindow: "3600s" };
    const job = await makeDelayed(hourly);
    await at(60);
    expect(await minutes(job)).toEqual([]);
    const delayMs = delayOf(job);
    bench.setTime(START + 60 * MINUTE + delayMs - 4_000);
    await bench.tick.run();
    expect(await minutes(job)).toEqual([60]);
    await update({ payload: "new" });
    expect(await minutes(job)).toEqual([]);
    await bench.tick.run();
    expect(await bench.triggersOf(job.uid)).toMatchObject([{ revision: 2, seq: 1 }]);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    bench.setTime(START + 119 * MINUTE);
    await bench.tick.run();
    expect(await minutes(job)).toEqual([]);
  });
});

/** Makes a job that its window delays by 1 to 58 minutes. The delay follows from the id, which is random: it tries again. */
async function makeDelayed(fields: JsonObject): Promise<JobRow> {
  for (;;) {
    const job = await make(fields);
    const delayMs = delayOf(job);
    if (delayMs >= MINUTE && delayMs <= 58 * MINUTE) return job;
    await deleteJob(bench.parts, { ...reference, etag: "" });
  }
}

function delayOf(job: JobRow): number {
  return flexibleDelay(job.uid, 60 * MINUTE, START + 60 * MINUTE, START + 120 * MINUTE);
}

describe("calendars", () => {
  const weekday = { days: ["MONDAY"], start: "09:00", end: "09:03" };
  const calendar = (windows = [weekday, { ...weekday, start: "09:10", end: "09:20" }]) =>
    create(CalendarSchema, { name: "office", timeZone: "UTC", windows });

  test("skip the fire times outside them, as one range", async () => {
    await createCalendar(bench.parts, PROJECT, calendar());
    const job = await make({ calendars: [{ name: "office" }] });
    for (let minute = 1; minute <= 12; minute++) await at(minute);
    expect(await minutes(job)).toEqual([1, 2, 10, 11, 12]);
    expect((await bench.triggersOf(job.uid))[2]).toMatchObject({ seq: 3, skipped: 7 });
  });

  test("defer fire times to the opening, with one trigger", async () => {
    await createCalendar(bench.parts, PROJECT, calendar());
    const job = await make({ calendars: [{ name: "office", outside: "OUTSIDE_DEFER" }] });
    for (let minute = 1; minute <= 11; minute++) await at(minute);
    expect(await minutes(job)).toEqual([1, 2, 3, 10, 11]);
    const deferred = (await bench.triggersOf(job.uid))[2];
    expect(deferred?.effectiveMs).toBe(START + 10 * MINUTE);
    expect(deferred?.kind).toBe("SCHEDULED");
  });

  test("that open earlier than expected deliver the deferred fire time at the opening", async () => {
    await createCalendar(bench.parts, PROJECT, calendar());
    const job = await make({ calendars: [{ name: "office", outside: "OUTSIDE_DEFER" }] });
    for (let minute = 1; minute <= 5; minute++) await at(minute);
    bench.setTime(START + 5.5 * MINUTE);
    const open = calendar([{ ...weekday, end: "12:00" }]);
    const request = create(UpdateCalendarRequestSchema, {
      calendar: open,
      updateMask: { paths: ["windows"] },
    });
    await updateAndSettleCalendar(bench.parts, PROJECT, request);
    await at(6);
    expect(
      (await bench.triggersOf(job.uid)).map(({ atMs, kind }) => [(atMs - START) / MINUTE, kind]),
    ).toEqual([
      [1, "SCHEDULED"],
      [2, "SCHEDULED"],
      // It waited for an opening, not for us.
      [3, "SCHEDULED"],
      [6, "SCHEDULED"],
    ]);
  });

  test("that change after a commit was lost skip no fire time that was handed over", async () => {
    await createCalendar(bench.parts, PROJECT, calendar());
    const job = await make({ calendars: [{ name: "office" }] });
    await at(0.5);
    bench.setTime(START + MINUTE - 3_000);
    bench.setAnswerLost(true);
    await expect(bench.tick.run()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    bench.setAnswerLost(false);
    expect(await minutes(job)).toEqual([1]);
    const request = create(UpdateCalendarRequestSchema, {
      calendar: calendar([{ ...weekday, start: "10:00", end: "11:00" }]),
      updateMask: { paths: ["windows"] },
    });
    await updateCalendar(bench.parts, PROJECT, request);
    // The jobs are not settled before the fire time has come.
    await at(1);
    const values = [job.uid, new Date(START).toISOString(), new Date(START + 1.5 * MINUTE).toISOString()];
    expect(await bench.parts.database.query(skipsBetween, values)).toEqual([]);
    expect((await readJob(bench.parts, PROJECT, reference)).last_fire_time).toBe(START + MINUTE);
  });

  test("that do not exist or are named twice are refused", async () => {
    await expect(make({ calendars: [{ name: "none" }] })).rejects.toMatchObject({
      reason: "CALENDAR_NOT_FOUND",
      violations: [{ field: "job.calendars[0].name" }],
    });
    await expect(make({ calendars: [{ name: "a" }, { name: "a" }] })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "job.calendars[1].name" }],
    });
  });
});
