import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JobSchema, WarningCode } from "../../gen/easycron/v1/job_pb.ts";
import { PreviewScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { withDefaults } from "../changes/job-defaults.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { previewSchedule } from "./preview-schedule.ts";
import { retryHorizonMs, warningsOf } from "./warnings.ts";

const NOW = Date.UTC(2026, 2, 1, 9);
const parse = (job: JsonObject) => withDefaults(fromJson(JobSchema, job), NOW);

/** The first fire times of a job written as customers do, as ISO text. */
function firesOf(job: JsonObject, count = 3, after = NOW): string[] {
  const schedule = compileSchedule(parse(job), "job_1");
  const times: string[] = [];
  for (let at = schedule.nextAfter(after); at !== null && times.length < count; at = schedule.nextAfter(at)) {
    times.push(new Date(at).toISOString());
  }
  return times;
}

const cron = (expression: string, timeZone = "UTC") => ({ cron: { expression }, timeZone });

describe("a job is due", () => {
  test("at the times of its cron expression, on its zone's clock", () => {
    expect(firesOf({ schedules: [cron("0 9 * * 1-5", "Europe/Paris")] }, 2)).toEqual([
      "2026-03-02T08:00:00.000Z",
      "2026-03-03T08:00:00.000Z",
    ]);
  });

  test("at every interval from its anchor, which is its creation unless it says otherwise", () => {
    expect(firesOf({ schedules: [{ rate: { every: "90s" } }] }, 2)).toEqual([
      "2026-03-01T09:01:30.000Z",
      "2026-03-01T09:03:00.000Z",
    ]);
    const anchored = { rate: { every: "86400s", anchorTime: "2026-01-01T06:30:00.250Z" } };
    expect(firesOf({ schedules: [anchored] }, 1)).toEqual(["2026-03-02T06:30:00.250Z"]);
  });

  test("once, at an instant or a local time, and never again", () => {
    expect(firesOf({ schedules: [{ once: { time: "2026-03-01T10:00:00Z" } }] })).toEqual([
      "2026-03-01T10:00:00.000Z",
    ]);
    const local = { once: { localTime: "2027-03-28T02:30:00" }, timeZone: "Europe/Paris" };
    expect(firesOf({ schedules: [local] })).toEqual(["2027-03-28T01:00:00.000Z"]);
  });

  test("when any of its schedules is, and once when two of them are", () => {
    expect(firesOf({ schedules: [cron("0 10 * * *"), cron("0 */2 * * *")] })).toEqual([
      "2026-03-01T10:00:00.000Z",
      "2026-03-01T12:00:00.000Z",
      "2026-03-01T14:00:00.000Z",
    ]);
  });

  test("within its bounds only, both inclusive", () => {
    const job = {
      schedules: [cron("0 * * * *")],
      startTime: "2026-03-01T11:00:00Z",
      endTime: "2026-03-01T12:00:00Z",
    };
    expect(firesOf(job)).toEqual(["2026-03-01T11:00:00.000Z", "2026-03-01T12:00:00.000Z"]);
  });

  test("never, without schedules", () => {
    expect(firesOf({})).toEqual([]);
  });
});

describe("a schedule is refused, naming the field", () => {
  test.each([
    [
      "a bad expression",
      { schedules: [cron("60 * * * *")] },
      "SCHEDULE_INVALID",
      "job.schedules[0].cron.expression",
    ],
    [
      "six fields unasked",
      { schedules: [cron("0 0 9 * * *")] },
      "SCHEDULE_INVALID",
      "job.schedules[0].cron.expression",
    ],
    [
      "an impossible date",
      { schedules: [cron("0 0 30 2 *")] },
      "SCHEDULE_NEVER_FIRES",
      "job.schedules[0].cron.expression",
    ],
    [
      "an unknown zone",
      { schedules: [cron("* * * * *"), cron("* * * * *", "Mars/X")] },
      "TIME_ZONE_UNKNOWN",
      "job.schedules[1].timeZone",
    ],
    [
      "a zone in wrong case",
      { schedules: [cron("* * * * *", "europe/paris")] },
      "TIME_ZONE_UNKNOWN",
      "job.schedules[0].timeZone",
    ],
    [
      "a short interval",
      { schedules: [{ rate: { every: "0.5s" } }] },
      "SCHEDULE_INVALID",
      "job.schedules[0].rate.every",
    ],
    [
      "a negative interval",
      { schedules: [{ rate: { every: "-5s" } }] },
      "SCHEDULE_INVALID",
      "job.schedules[0].rate.every",
    ],
    [
      "a bad local time",
      { schedules: [{ once: { localTime: "2027-02-29T00:00:00" } }] },
      "SCHEDULE_INVALID",
      "job.schedules[0].once.localTime",
    ],
    [
      "an end before the start",
      { startTime: "2026-03-02T00:00:00Z", endTime: "2026-03-01T00:00:00Z" },
      "FIELD_INVALID",
      "job.endTime",
    ],
  ])("%s", (_name, job, reason, field) => {
    expect(() => compileSchedule(parse(job), "job_1")).toThrow(
      expect.objectContaining({
        reason,
        metadata: expect.objectContaining({ field, problem: expect.any(String) }),
        violations: [expect.objectContaining({ field })],
      }),
    );
  });
});

describe("PreviewSchedule", () => {
  let bench: SchedulerBench;
  beforeAll(async () => {
    bench = await openBench(NOW);
  });
  afterAll(() => bench.close());

  const preview = (job: JsonObject, after = NOW, count = 2) => {
    const source = { case: "job" as const, value: fromJson(JobSchema, job) };
    const request = create(PreviewScheduleRequestSchema, { source, after: timestampFromMs(after), count });
    return previewSchedule(bench.parts, PROJECT, request);
  };

  test("gives nominal, effective and local time, and says what the clocks do to it", async () => {
    const job = { schedules: [cron("30 2 * * *", "Europe/Paris")] };
    const { fireTimes } = await preview(job, Date.UTC(2026, 2, 28, 12), 1);
    const [first] = fireTimes ?? [];
    expect(first).toMatchObject({ localTime: "2026-03-29T03:00:00", utcOffset: "+02:00" });
    expect(first?.notes).toHaveLength(1);
    expect(first?.nominalTime && timestampDate(first.nominalTime as never).toISOString()).toBe(
      "2026-03-29T01:00:00.000Z",
    );
  });

  test("ends with the last fire that maxFires allows", async () => {
    const { fireTimes } = await preview({ schedules: [cron("0 * * * *")], maxFires: 2 }, NOW, 10);
    expect(fireTimes).toHaveLength(2);
  });

  test("is empty and warns for a schedule that never fires", async () => {
    const { fireTimes, warnings } = await preview({ schedules: [cron("0 0 30 2 *")] });
    expect(fireTimes).toEqual([]);
    expect(warnings?.[0]).toMatchObject({ code: WarningCode.NEVER_FIRES, field: "job.schedules[0]" });
  });
});

describe("warnings", () => {
  test("name the trap and the field", () => {
    const job = parse({ schedules: [cron("0 0 13 * 5")] });
    const warnings = warningsOf(compileSchedule(job, "job_1"), job, NOW);
    expect(warnings).toContainEqual(
      expect.objectContaining({
        code: WarningCode.DAY_OF_MONTH_OR_WEEKDAY,
        field: "job.schedules[0].cron.expression",
      }),
    );
  });

  test("use the time that retries really take", () => {
    const policy = parse({
      retryPolicy: { maxAttempts: 4, minBackoff: "5s", maxBackoff: "10s" },
    }).retryPolicy;
    expect(policy && retryHorizonMs(policy)).toBe(25_000);
    const listed = parse({ retryPolicy: { maxAttempts: 4, delays: ["5s", "60s"] } }).retryPolicy;
    expect(listed && retryHorizonMs(listed)).toBe(125_000);
  });
});
