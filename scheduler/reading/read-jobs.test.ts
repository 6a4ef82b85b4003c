import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { ListJobsRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { SkipFireTimeRequestSchema } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listJobs } from "./list-jobs.ts";
import { presentJob, readJob } from "./read-jobs.ts";

// A Monday.
const START = Date.UTC(2026, 2, 2, 9);
const HOUR = 3_600_000;
const DAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
const morning = (days = DAYS) => ({ name: "mornings", windows: [{ days, start: "09:00", end: "10:00" }] });

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, morning()));
});
afterEach(() => bench.close());

const make = (name: string, expression: string, fields: JsonObject = {}) =>
  bench.createJob(
    fromJson(JobSchema, {
      name,
      schedules: [{ cron: { expression } }],
      target: { webhook: { url: "https://example.com/" } },
      ...fields,
    }),
  );
const skipping = { calendars: [{ name: "mornings" }] };
const deferring = { calendars: [{ name: "mornings", outside: "OUTSIDE_DEFER" }] };
const at = async (ms: number) => {
  bench.setTime(ms);
  while ((await bench.tick.run()).more);
};
/** A job's next fire time, as ISO text. */
const shown = ({ nextFireTime }: Job) => nextFireTime && timestampDate(nextFireTime).toISOString();
const next = async (name: string) =>
  shown(await presentJob(bench.parts, await readJob(bench.parts, PROJECT, { name })));
const list = () => listJobs(bench.parts, PROJECT, create(ListJobsRequestSchema, {}));

describe("the next fire time of a job", () => {
  test("comes after those that its calendars skip", async () => {
    await make("hourly", "0 * * * *", skipping);
    await make("weekly", "30 9 * * *", skipping);
    expect(await next("hourly")).toBe("2026-03-03T09:00:00.000Z");
    expect(await next("weekly")).toBe("2026-03-02T09:30:00.000Z");
    await at(START + HOUR / 2);
    const calendar = create(CalendarSchema, morning(["SUNDAY"]));
    const request = create(UpdateCalendarRequestSchema, { calendar, updateMask: { paths: ["windows"] } });
    await updateAndSettleCalendar(bench.parts, PROJECT, request);
    expect(await next("hourly")).toBe("2026-03-08T09:00:00.000Z");
    expect(await next("weekly")).toBe("2026-03-08T09:30:00.000Z");
  });

  test("does not exist if all are skipped, also when the job's cursor is at one that is due", async () => {
    await make("noon", "0 12 * * *", skipping);
    expect(await next("noon")).toBeUndefined();
    await at(START + 3 * HOUR - 1_000);
    bench.setTime(START + 3 * HOUR + 200);
    expect(await next("noon")).toBeUndefined();
  });

  test("is an overdue fire time if that will make a trigger", async () => {
    await make("daily", "30 9 * * *", skipping);
    bench.setTime(START + 0.5 * HOUR + 200);
    expect(await next("daily")).toBe("2026-03-02T09:30:00.000Z");
    await at(START + 0.5 * HOUR + 200);
    expect(await next("daily")).toBe("2026-03-03T09:30:00.000Z");
  });

  test("keeps its nominal time when it is deferred, unless another fire time has taken the opening", async () => {
    await make("noon", "0 12 * * *", deferring);
    await make("hourly", "0 * * * *", deferring);
    expect(await next("noon")).toBe("2026-03-02T12:00:00.000Z");
    expect(await next("hourly")).toBe("2026-03-02T10:00:00.000Z");
    await at(START + 1.5 * HOUR);
    expect(await next("hourly")).toBe("2026-03-03T09:00:00.000Z");
    await at(START + 3.5 * HOUR);
    expect(await next("noon")).toBe("2026-03-03T12:00:00.000Z");
  });

  test("is not one that is skipped by request", async () => {
    await make("daily", "30 9 * * *", skipping);
    const skip = (ms: number) => {
      const nominalTime = timestampFromMs(ms);
      return skipFireTime(
        bench.parts,
        PROJECT,
        create(SkipFireTimeRequestSchema, { job: "daily", nominalTime }),
      );
    };
    await skip(START + 24.5 * HOUR);
    const { job } = await skip(START + 0.5 * HOUR);
    expect(shown(job as Job)).toBe("2026-03-04T09:30:00.000Z");
  });

  test("agrees with the ledger", async () => {
    const job = await make("often", "*/20 * * * *", skipping);
    const told: (string | undefined)[] = [];
    for (const minute of [10, 30, 50, 600, 1_300, 1_450, 1_470, 1_490]) {
      await at(START + minute * 60_000);
      told.push(await next("often"));
    }
    await at(START + 26 * HOUR);
    const fired = (await bench.triggersOf(job.uid)).map(({ atMs }) => new Date(atMs).toISOString());
    expect([...new Set(told)].slice(0, fired.length)).toEqual(fired);
  });
});

test("a page of jobs reads all their calendars with one statement, and with none if no job has a calendar", async () => {
  let statements = 0;
  const { database } = bench.parts;
  const counted = {
    ...database,
    query: ((...given) => {
      statements += 1;
      return database.query(...given);
    }) as typeof database.query,
  };
  const listed = async () => {
    statements = 0;
    const page = await listJobs(
      { ...bench.parts, database: counted },
      PROJECT,
      create(ListJobsRequestSchema, {}),
    );
    return page.jobs.map(shown);
  };
  await make("a", "30 9 * * *");
  await list();
  // One statement finds the jobs, one reads them, and one reads which of them are set aside.
  expect([await listed(), statements]).toEqual([["2026-03-02T09:30:00.000Z"], 3]);
  for (const name of ["b", "c", "d"]) await make(name, "0 * * * *", skipping);
  const nine = "2026-03-03T09:00:00.000Z";
  expect([await listed(), statements]).toEqual([["2026-03-02T09:30:00.000Z", nine, nine, nine], 4]);
});
