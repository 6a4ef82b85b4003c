import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema, WarningCode } from "../../gen/easycron/v1/job_pb.ts";
import { SkipFireTimeRequestSchema } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { PreviewScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { previewSchedule } from "./preview-schedule.ts";

// A Monday, 08:00 UTC.
const NOW = Date.UTC(2026, 2, 2, 8);
const HOUR = 3_600_000;
const hourly = { schedules: [{ cron: { expression: "0 * * * *" } }] };

let bench: SchedulerBench;
beforeAll(async () => {
  bench = await openBench(NOW);
  const windows = [
    { days: ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"], start: "09:00", end: "17:30" },
  ];
  const office = create(CalendarSchema, { name: "office", timeZone: "Europe/Paris", windows });
  await createCalendar(bench.parts, PROJECT, office);
  const days = create(CalendarSchema, { name: "no-tuesday", excludedDates: ["2026-03-03"] });
  await createCalendar(bench.parts, PROJECT, days);
});
afterAll(() => bench.close());
beforeEach(() => bench.setTime(NOW));
afterEach(() => bench.setTime(NOW));

type Asked = { after?: number; count?: number; showSkipped?: boolean; signal?: AbortSignal };

/** Previews a saved job by its name, or an unsaved one. */
function ask(of: string | JsonObject, { after, count = 10, showSkipped = false, signal }: Asked = {}) {
  const source =
    typeof of === "string"
      ? { case: "name" as const, value: of }
      : { case: "job" as const, value: fromJson(JobSchema, of) };
  const when = after === undefined ? {} : { after: timestampFromMs(after) };
  const request = create(PreviewScheduleRequestSchema, { source, count, showSkipped, ...when });
  return previewSchedule(bench.parts, PROJECT, request, signal);
}

const iso = (time: unknown) =>
  time === undefined
    ? null
    : timestampDate(time as never)
        .toISOString()
        .slice(5, 16);

/** Nominal and effective times, "03-02T09:00", and notes. */
async function times(of: string | JsonObject, asked: Asked = {}) {
  const { fireTimes = [] } = await ask(of, asked);
  return fireTimes.map(({ nominalTime, effectiveTime, notes = [] }) => [
    iso(nominalTime),
    iso(effectiveTime),
    notes.join(" "),
  ]);
}

let made = 0;
const save = (fields: JsonObject) =>
  bench.createJob(
    fromJson(JobSchema, {
      name: `saved-${made++}`,
      target: { webhook: { url: "https://example.com/" } },
      ...hourly,
      ...fields,
    }),
  );

const tickTo = async (ms: number) => {
  bench.setTime(ms);
  while ((await bench.tick.run()).more);
};

describe("calendars in a preview", () => {
  const WAITS =
    "Skipped: the calendar office is closed, and an earlier fire time already waits until it opens.";
  const deferring = { ...hourly, calendars: [{ name: "office", outside: "OUTSIDE_DEFER" }] };

  test("defer the first of several to the opening, and the others are skipped", async () => {
    expect(await times(deferring, { after: NOW + 8.5 * HOUR, count: 16, showSkipped: true })).toEqual([
      ["03-02T17:00", "03-03T08:00", "Deferred: the calendar office is closed."],
      ...["18", "19", "20", "21", "22", "23"].map((hour) => [`03-02T${hour}:00`, null, WAITS]),
      ...["00", "01", "02", "03", "04", "05", "06", "07"].map((hour) => [`03-03T${hour}:00`, null, WAITS]),
      ["03-03T08:00", "03-03T08:00", ""],
    ]);
  });

  test("defer nothing to an opening that an earlier fire time has taken", async () => {
    const job = await save(deferring);
    const shown = { count: 1, showSkipped: true };
    expect((await times(job.name, { after: NOW + 12 * HOUR, ...shown }))[0]).toEqual([
      "03-02T21:00",
      null,
      WAITS,
    ]);
    await tickTo(NOW + 9.5 * HOUR);
    expect((await times(job.name, shown))[0]).toEqual(["03-02T18:00", null, WAITS]);
    expect((await times(job.name, { after: NOW - 84 * HOUR, ...shown }))[0]).toEqual([
      "02-26T21:00",
      null,
      WAITS,
    ]);
  });

  test("that skip apply before those that defer, and do not hide which fire time took an opening", async () => {
    const calendars = [{ name: "office", outside: "OUTSIDE_DEFER" }, { name: "no-tuesday" }];
    const job = await save({ calendars });
    expect(await times(job.name, { after: NOW + 14.5 * HOUR, count: 2, showSkipped: true })).toEqual([
      ["03-02T23:00", null, WAITS],
      ["03-03T00:00", null, "Skipped: the calendar no-tuesday is closed."],
    ]);
    bench.setTime(NOW + 100 * HOUR);
    expect(await times(job.name, { after: NOW + 38.5 * HOUR, count: 2, showSkipped: true })).toEqual([
      ["03-03T23:00", null, "Skipped: the calendar no-tuesday is closed."],
      ["03-04T00:00", null, WAITS],
    ]);
  });

  test("are named in the error when they do not exist", async () => {
    await expect(ask({ ...hourly, calendars: [{ name: "none" }] })).rejects.toMatchObject({
      reason: "CALENDAR_NOT_FOUND",
      violations: [{ field: "job.calendars[0].name" }],
    });
  });
});

describe("fire times that make no trigger", () => {
  // The office closes at 16:30 UTC and opens at 08:00 UTC.
  const minutely = { schedules: [{ cron: { expression: "* * * * *" } }], calendars: [{ name: "office" }] };
  const CLOSES = NOW + 8.5 * HOUR;
  const NIGHT_MINUTES = 15.5 * 60;

  test("are counted between those that make one", async () => {
    const { fireTimes, skippedAfter, previewedUntil } = await ask(minutely, {
      after: CLOSES - 120_000,
      count: 3,
    });
    expect(fireTimes?.map(({ nominalTime, skippedBefore }) => [iso(nominalTime), skippedBefore])).toEqual([
      ["03-02T16:29", 0],
      ["03-03T08:00", NIGHT_MINUTES],
      ["03-03T08:01", 0],
    ]);
    expect([skippedAfter, iso(previewedUntil)]).toEqual([0, "03-03T08:01"]);
  });

  test("are listed with a note and not counted when showSkipped is set", async () => {
    const { fireTimes, skippedAfter } = await ask(minutely, { after: CLOSES, count: 2, showSkipped: true });
    const closed = "Skipped: the calendar office is closed.";
    expect(fireTimes).toMatchObject([
      { skippedBefore: 0, notes: [closed] },
      { skippedBefore: 0, notes: [closed] },
    ]);
    expect(skippedAfter).toBe(0);
  });

  test("are counted when they are deferred to an opening that is taken, or skipped by request", async () => {
    const deferring = { ...hourly, calendars: [{ name: "office", outside: "OUTSIDE_DEFER" }] };
    const { fireTimes } = await ask(deferring, { after: CLOSES, count: 3 });
    expect(
      fireTimes?.map((each) => [iso(each.nominalTime), iso(each.effectiveTime), each.skippedBefore]),
    ).toEqual([
      ["03-02T17:00", "03-03T08:00", 0],
      ["03-03T08:00", "03-03T08:00", 14],
      ["03-03T09:00", "03-03T09:00", 0],
    ]);
    const job = await save({});
    const nominalTime = timestampFromMs(NOW + 2 * HOUR);
    await skipFireTime(
      bench.parts,
      PROJECT,
      create(SkipFireTimeRequestSchema, { job: job.name, nominalTime }),
    );
    const saved = await ask(job.name, { count: 2 });
    expect(saved.fireTimes?.map((each) => [iso(each.nominalTime), each.skippedBefore])).toEqual([
      ["03-02T09:00", 0],
      ["03-02T11:00", 1],
    ]);
  });

  test("are counted after the last one that makes one, and a preview without any says so", async () => {
    const ending = { ...minutely, endTime: "2026-03-02T20:00:00Z" };
    const last = await ask(ending, { after: CLOSES - 120_000 });
    expect(last.fireTimes).toMatchObject([{ skippedBefore: 0 }]);
    expect([last.skippedAfter, last.previewedUntil]).toEqual([3.5 * 60 + 1, undefined]);
    const none = await ask(ending, { after: CLOSES });
    expect([none.fireTimes, none.skippedAfter]).toEqual([[], 3.5 * 60]);
    expect(none.warnings?.map(({ code }) => code)).toContain(WarningCode.NEVER_FIRES);
  });

  test("are counted up to the instant at which a preview gives up, where the next one can begin", async () => {
    const stopping = new AbortController();
    stopping.abort();
    const cut = await ask(minutely, { after: CLOSES, signal: stopping.signal });
    expect(cut.fireTimes).toEqual([]);
    const untilMs = timestampDate(cut.previewedUntil as never).getTime();
    expect(untilMs).toBeGreaterThanOrEqual(CLOSES);
    const [first] = (await ask(minutely, { after: untilMs, count: 1 })).fireTimes ?? [];
    expect((cut.skippedAfter ?? 0) + (first?.skippedBefore ?? 0)).toBe(NIGHT_MINUTES - 1);
  });
});

describe("maxFires in a preview", () => {
  test("leaves a saved job the fires that it has not used", async () => {
    const job = await save({ maxFires: 5 });
    await tickTo(NOW + 2 * HOUR);
    expect((await bench.triggersOf(job.uid)).map(({ seq }) => seq)).toEqual([1, 2]);
    expect((await times(job.name)).map(([nominal]) => nominal)).toEqual([
      "03-02T11:00",
      "03-02T12:00",
      "03-02T13:00",
    ]);
  });

  test("counts triggers that are handed over and not due yet", async () => {
    const job = await save({ maxFires: 1 });
    await tickTo(NOW + HOUR - 3_000);
    expect(await bench.triggersOf(job.uid)).toHaveLength(1);
    expect(await times(job.name)).toEqual([["03-02T09:00", "03-02T09:00", ""]]);
    await tickTo(NOW + HOUR);
    expect(await times(job.name)).toEqual([]);
  });

  test("is used up by fire times between now and the first one wanted", async () => {
    const job = { ...hourly, maxFires: 3 };
    expect((await times(job, { after: NOW + 2 * HOUR })).map(([nominal]) => nominal)).toEqual([
      "03-02T11:00",
    ]);
    expect(await times(job, { after: NOW + 3 * HOUR })).toEqual([]);
    const saved = await save({ maxFires: 3 });
    expect(await times(saved.name, { after: NOW + 2 * HOUR })).toHaveLength(1);
  });

  test("counts from now in a preview that begins in the past", async () => {
    const saved = await save({ maxFires: 3 });
    expect(await times(saved.name, { after: NOW - 4 * HOUR })).toHaveLength(4 + 3);
    expect(await times({ ...hourly, maxFires: 3 }, { after: NOW - 4 * HOUR })).toHaveLength(3);
  });

  test("is not counted when it lies too far ahead, and a note says so", async () => {
    const job = { schedules: [{ cron: { expression: "* * * * *" } }], maxFires: 20_000 };
    const [first] = await times(job, { after: NOW + 200 * 24 * HOUR, count: 1 });
    expect(first?.[2]).toMatch(/^maxFires \(20000\) is not taken into account here/);
    expect((await times(job, { after: NOW + 5 * 24 * HOUR, count: 1 }))[0]?.[2]).toBe("");
  });

  test("is computed from one reading of the clock", async () => {
    let readings = 0;
    const clock = { now: () => NOW + HOUR * readings++ };
    const source = { case: "job" as const, value: fromJson(JobSchema, { ...hourly, maxFires: 2 }) };
    const request = create(PreviewScheduleRequestSchema, { source });
    const { fireTimes } = await previewSchedule({ ...bench.parts, clock }, PROJECT, request);
    expect(fireTimes?.map(({ nominalTime }) => iso(nominalTime))).toEqual(["03-02T09:00", "03-02T10:00"]);
  });
});

test("a fire time that is to be skipped by request has no effective time", async () => {
  const job = await save({});
  const nominalTime = timestampFromMs(NOW + 2 * HOUR);
  await skipFireTime(bench.parts, PROJECT, create(SkipFireTimeRequestSchema, { job: job.name, nominalTime }));
  expect(await times(job.name, { count: 3, showSkipped: true })).toEqual([
    ["03-02T09:00", "03-02T09:00", ""],
    ["03-02T10:00", null, "Skipped: SkipFireTime was called for it."],
    ["03-02T11:00", "03-02T11:00", ""],
  ]);
});

describe("a fire time that depends on the job's id", () => {
  const spread = { schedules: [{ cron: { expression: "H * * * *" } }], flexibleWindow: "600s" };

  test("uses the id of the existing job when the unsaved job has its name", async () => {
    const job = await save(spread);
    expect(await times({ ...spread, name: job.name })).toEqual(await times(job.name));
    expect((await times(job.name))[0]?.[2]).toMatch(/^Delayed by \d+ ms within the flexible window\.$/);
  });

  test("is not known yet for a new job, and the preview says so", async () => {
    const [first] = await times({ ...spread, name: "not-there" }, { count: 1 });
    expect(first?.[2]).toContain("the value of H is chosen when the job is created");
    expect(first?.[2]).toContain("the delay within the flexible window is chosen when the job is created");
    const thursdays = { schedules: [{ cron: { expression: "0 9 * MAR THU" } }] };
    expect((await times(thursdays, { count: 1 }))[0]?.[2]).toBe("");
  });
});

test("a preview shows every kind of schedule in its own zone, and the release of the zone database", async () => {
  const timeZone = "Europe/Paris";
  const schedules = [
    { once: { localTime: "2026-03-29T02:30:00" }, timeZone },
    { rate: { every: "3600s", anchorTime: "2026-03-30T00:30:00Z" }, timeZone },
  ];
  const { fireTimes, zoneDataVersion } = await ask({ schedules }, { count: 2 });
  expect(fireTimes).toMatchObject([
    {
      localTime: "2026-03-29T03:00:00",
      utcOffset: "+02:00",
      notes: [expect.stringMatching(/does not exist/)],
    },
    { localTime: "2026-03-30T02:30:00", utcOffset: "+02:00", notes: [] },
  ]);
  expect(zoneDataVersion).toBe(bench.parts.zoneData.inForce(NOW).version);
  expect(zoneDataVersion).not.toBe("");
});

test("an unsaved rate without an anchor begins at the instant asked for if that is past", async () => {
  const rate = { schedules: [{ rate: { every: "5400s" } }] };
  expect((await times(rate, { after: NOW - 10 * HOUR, count: 2 })).map(([nominal]) => nominal)).toEqual([
    "03-01T23:30",
    "03-02T01:00",
  ]);
});

test("a preview of a schedule without fire times is empty and warns, and one whose caller is gone does not warn", async () => {
  const once = { schedules: [{ once: { time: "2026-03-02T09:00:00Z" } }] };
  const { fireTimes, warnings } = await ask(once, { after: NOW + HOUR });
  expect(fireTimes).toEqual([]);
  expect(warnings?.map(({ code }) => code)).toContain(WarningCode.NEVER_FIRES);
  const stopping = new AbortController();
  stopping.abort();
  const secondly = { schedules: [{ rate: { every: "1s" } }] };
  const cut = await ask(secondly, { count: 1_000, signal: stopping.signal });
  expect(cut.fireTimes?.length).toBeLessThan(1_000);
});

test("a preview of a job that does not exist is refused", async () => {
  await expect(ask("nobody")).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});
