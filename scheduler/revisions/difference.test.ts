import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { createCalendar, deleteCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { updateJob } from "../changes/update-job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { getRevision } from "./read.ts";

// A Monday.
const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const WEEK_MINUTES = 7 * 1_440;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Creates the job `payroll`, which fires every minute. */
const make = (fields: JsonObject = {}) =>
  bench.createJob(
    fromJson(JobSchema, {
      name: "payroll",
      schedules: [{ cron: { expression: "* * * * *" } }],
      target: { webhook: { url: "https://example.com/" } },
      ...fields,
    }),
  );
/** Changes the job, `after` minutes from the start. */
const update = async (after: number, fields: JsonObject, paths: string[]) => {
  bench.setTime(START + after * MINUTE);
  const job = fromJson(JobSchema, { name: "payroll", ...fields });
  return updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job, updateMask: { paths } }));
};
/** Open on Mondays from `start` to `end`. */
const open = (start: string, end: string) => ({ windows: [{ days: ["MONDAY"], start, end }] });
const office = (fields: JsonObject) => fromJson(CalendarSchema, { name: "office", ...fields });
const outside = (policy: "SKIP" | "DEFER") => ({
  calendars: [{ name: "office", outside: `OUTSIDE_${policy}` }],
});
/** What a revision added and removed: counts, and the first of each in minutes from the start. */
const read = async (number: number) => {
  const { revision } = await getRevision(bench.parts, PROJECT, { name: "payroll", number });
  const { difference } = revision;
  const inMinutes = (times: Parameters<typeof timestampMs>[0][] = []) =>
    times.map((time) => (timestampMs(time) - START) / MINUTE);
  return {
    added: difference?.addedCount,
    removed: difference?.removedCount,
    firstAdded: inMinutes(difference?.added),
    firstRemoved: inMinutes(difference?.removed),
  };
};

describe("calendars in a revision's difference", () => {
  test("count as they were when the revision was made, even if they were changed or deleted since", async () => {
    await createCalendar(bench.parts, PROJECT, office(open("10:00", "11:00")));
    await make();
    await update(1, outside("SKIP"), ["calendars"]);
    const removed = WEEK_MINUTES - 60;
    const asMade = await read(2);
    expect(asMade).toMatchObject({ added: 0, removed });
    bench.setTime(START + 2 * MINUTE);
    const calendar = office(open("10:00", "18:00"));
    await updateAndSettleCalendar(bench.parts, PROJECT, create(UpdateCalendarRequestSchema, { calendar }));
    expect(await read(2)).toEqual(asMade);
    await update(3, {}, ["calendars"]);
    bench.setTime(START + 4 * MINUTE);
    await deleteCalendar(bench.parts, PROJECT, { name: "office", etag: "" });
    await createCalendar(bench.parts, PROJECT, office(open("00:00", "01:00")));
    expect(await read(2)).toEqual(asMade);
    expect(await read(3)).toMatchObject({ added: WEEK_MINUTES - 8 * 60, removed: 0 });
  });

  test("count even if they are a little later than the revision by another machine's clock", async () => {
    await createCalendar(bench.parts, PROJECT, office(open("10:00", "11:00")));
    bench.setTime(START - MINUTE);
    await make(outside("SKIP"));
    expect(await read(1)).toMatchObject({ added: 60 });
  });

  test("of another project do not count", async () => {
    await createCalendar(bench.parts, "proj_other", office(open("10:00", "10:01")));
    await createCalendar(bench.parts, PROJECT, office(open("10:00", "11:00")));
    await make(outside("SKIP"));
    expect(await read(1)).toMatchObject({ added: 60 });
  });
});

describe("a difference of deferred fire times", () => {
  beforeEach(() => createCalendar(bench.parts, PROJECT, office(open("10:00", "11:00"))));

  test("counts only the first for each opening, which alone makes a trigger", async () => {
    await make(outside("SKIP"));
    await update(120, outside("DEFER"), ["calendars"]);
    expect(await read(2)).toMatchObject({ added: 2, removed: 0, firstAdded: [121, WEEK_MINUTES + 120] });
  });

  test("counts none when a trigger waits for the opening already", async () => {
    await make(outside("DEFER"));
    bench.setTime(START + 2 * MINUTE);
    while ((await bench.tick.run()).more);
    await update(2, { schedules: [{ cron: { expression: "3-59/7 * * * *" } }] }, ["schedules"]);
    const { added, removed, firstRemoved } = await read(2);
    // Of the open hour 9 of 60 stay, and the fire time that takes the next opening is another.
    expect({ added, removed }).toEqual({ added: 1, removed: 52 });
    expect(firstRemoved[0]).toBe(60);
  });
});

describe("a difference of a job with maxFires", () => {
  test("counts no more fire times than the job has left", async () => {
    await make();
    await update(0.5, { maxFires: 3 }, ["max_fires"]);
    expect(await read(2)).toMatchObject({ added: 0, removed: WEEK_MINUTES - 3, firstRemoved: { 0: 4 } });
    bench.setTime(START + 2.5 * MINUTE);
    while ((await bench.tick.run()).more);
    await update(2.5, { maxFires: 5 }, ["max_fires"]);
    expect(await read(3)).toMatchObject({ added: 2, removed: 0, firstAdded: [4, 5] });
    await update(2.6, { maxFires: 0 }, ["max_fires"]);
    expect(await read(4)).toMatchObject({ added: WEEK_MINUTES - 3, removed: 0, firstAdded: { 0: 6 } });
  });

  test("does not count fire times that a calendar skips", async () => {
    await createCalendar(bench.parts, PROJECT, office(open("10:00", "11:00")));
    await make({ maxFires: 2, ...outside("SKIP") });
    expect(await read(1)).toMatchObject({ added: 2, firstAdded: [60, 61] });
  });
});

test("the times of a difference are read in pages, and are the same whenever they are read", async () => {
  await make();
  const page = (pageToken: string) => {
    const request = { name: "payroll", number: 1, pageSize: 1_000, pageToken };
    return getRevision(bench.parts, PROJECT, request);
  };
  const times: number[] = [];
  let token = "";
  do {
    const { revision, nextPageToken } = await page(token);
    times.push(...(revision.difference?.added ?? []).map(timestampMs));
    expect(revision.difference).toMatchObject({ addedCount: WEEK_MINUTES });
    token = nextPageToken;
    bench.setTime(START + times.length * MINUTE);
  } while (token !== "");
  expect(times).toEqual(Array.from({ length: WEEK_MINUTES }, (_, index) => START + (index + 1) * MINUTE));
  await expect(page("nonsense")).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  const { nextPageToken } = await page("");
  await update(10, { schedules: [{ cron: { expression: "0 9 * * *" } }] }, ["schedules"]);
  const other = getRevision(bench.parts, PROJECT, { name: "payroll", number: 2, pageToken: nextPageToken });
  await expect(other).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
});
