import { create, fromJson, type JsonObject, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  CreateJobRequestSchema,
  PreviewScheduleRequestSchema,
  UpdateJobRequestSchema,
} from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { CreateJobResponseSchema, UpdateJobResponseSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { PreviewScheduleResponseSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { pauseJob } from "../changes/pause-job.ts";
import { createSchedulerService } from "../scheduler-service.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

// A Monday, twenty past.
const START = Date.UTC(2026, 2, 2, 9, 20);
const WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];

let bench: SchedulerBench;
let service: ReturnType<typeof createSchedulerService>;
beforeEach(async () => {
  bench = await openBench(START);
  service = createSchedulerService(bench.parts, { of: () => bench.parts.database });
  const windows = [{ days: WEEKDAYS, start: "09:00", end: "10:00" }];
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "mornings", windows }));
});
afterEach(() => bench.close());

interface Answer {
  readonly warnings?: readonly { readonly code: string; readonly field: string; readonly message: string }[];
  readonly job?: { readonly nextFireTime?: string };
  readonly fireTimes?: readonly unknown[];
}

const target = { webhook: { url: "https://example.com/" } };
const cron = (expression: string, timeZone = "UTC") => [{ cron: { expression }, timeZone }];
const context = { signal: new AbortController().signal, deadlineMs: undefined, traceparent: "" };

// Requests and answers as JSON, the way customers see them.
async function createJob(job: JsonObject): Promise<Answer> {
  const json = { projectId: PROJECT, request: { job: { target, ...job } } };
  const { response } = await service.createJob(fromJson(CreateJobRequestSchema, json), context);
  const init = response as MessageInitShape<typeof CreateJobResponseSchema>;
  return toJson(CreateJobResponseSchema, create(CreateJobResponseSchema, init)) as Answer;
}
async function updateJob(job: JsonObject): Promise<Answer> {
  const json = { projectId: PROJECT, request: { job } };
  const { response } = await service.updateJob(fromJson(UpdateJobRequestSchema, json), context);
  const init = response as MessageInitShape<typeof UpdateJobResponseSchema>;
  return toJson(UpdateJobResponseSchema, create(UpdateJobResponseSchema, init)) as Answer;
}
async function preview(request: JsonObject): Promise<Answer> {
  const json = { projectId: PROJECT, request };
  const { response } = await service.previewSchedule(fromJson(PreviewScheduleRequestSchema, json), context);
  const init = response as MessageInitShape<typeof PreviewScheduleResponseSchema>;
  return toJson(PreviewScheduleResponseSchema, create(PreviewScheduleResponseSchema, init)) as Answer;
}

/** The messages of one kind of warning, each after its field. */
const said = ({ warnings = [] }: Answer, code: string) =>
  warnings
    .filter((warning) => warning.code === `WARNING_CODE_${code}`)
    .map(({ field, message }) => `${field} ${message}`);

/** Makes jobs that share a schedule. */
async function crowd(count: number, schedules: JsonObject[]): Promise<void> {
  for (let n = 0; n < count; n++) await createJob({ name: `other-${n}`, schedules });
}

describe("creating, updating and previewing a job warns once", () => {
  const retryPolicy = { maxAttempts: 10, minBackoff: "3600s", maxBackoff: "3600s", maxAge: "86400s" };
  test.each<[string, string, JsonObject, string]>([
    [
      "of calendars that skip every fire time",
      "NEVER_FIRES",
      { schedules: cron("0 12 * * *"), calendars: [{ name: "mornings" }] },
      "job.schedules[0]",
    ],
    [
      "of two day fields",
      "DAY_OF_MONTH_OR_WEEKDAY",
      { schedules: cron("7 9 13 * 5") },
      "job.schedules[0].cron.expression",
    ],
    [
      "of a step that restarts",
      "STEP_RESTARTS",
      { schedules: cron("0-59/7 9 * * *") },
      "job.schedules[0].cron.expression",
    ],
    [
      "of months without the day",
      "MONTH_END_GAP",
      { schedules: cron("7 9 31 * *") },
      "job.schedules[0].cron.expression",
    ],
    [
      "of a crowd at the top of the hour",
      "TOP_OF_HOUR",
      { schedules: cron("0 0 * * *") },
      "job.schedules[0].cron.expression",
    ],
    [
      "of shifted clocks",
      "OFFSET_CHANGE",
      { schedules: cron("30 2 29 3 *", "Europe/Paris") },
      "job.schedules[0].timeZone",
    ],
    [
      "of retries that outlast the interval",
      "RETRY_LONGER_THAN_INTERVAL",
      { schedules: cron("7 * * * *"), retryPolicy },
      "job.retryPolicy.maxAge",
    ],
  ])("%s", async (_name, code, fields, field) => {
    await crowd(10, cron("0 0 * * *"));
    const warned = [expect.stringMatching(`^${field.replaceAll(/[[\].]/g, "\\$&")} .{20}`)];
    const plain = await createJob({ name: "plain", schedules: cron("7 9 * * *") });
    expect(plain.warnings ?? []).toEqual([]);
    expect(said(await preview({ job: fields }), code)).toEqual(warned);
    expect(said(await updateJob({ name: "plain", ...fields }), code)).toEqual(warned);
    expect(said(await preview({ name: "plain" }), code)).toEqual(warned);
    expect(said(await createJob({ name: "another", ...fields }), code)).toEqual(warned);
  });
});

describe("a crowd at the top of the hour", () => {
  const told = async (answer: Promise<Answer>) =>
    said(await answer, "TOP_OF_HOUR").map((text) => /At (\S+), .* (\d+) other jobs/.exec(text)?.slice(1));

  test("is counted at the job's own next fire time at the top of an hour, without the job itself", async () => {
    await crowd(40, cron("0 0 * * *"));
    const [midnight, own] = ["2026-03-03T00:00:00.000Z", { name: "mine", schedules: cron("0 0 * * *") }];
    expect(await told(createJob(own))).toEqual([[midnight, "40"]]);
    expect(await told(updateJob({ ...own, labels: { team: "a" } }))).toEqual([[midnight, "40"]]);
    expect(await told(preview({ name: "mine" }))).toEqual([[midnight, "40"]]);
    expect(await told(preview({ job: { schedules: cron("0 0 * * *") } }))).toEqual([[midnight, "41"]]);
    expect(await told(preview({ job: { schedules: cron("*/30 0 * * *") } }))).toEqual([[midnight, "41"]]);
    expect(await told(preview({ job: { schedules: cron("0 5 * * *") } }))).toEqual([]);
    expect(await told(preview({ job: { schedules: cron("7 0 * * *") } }))).toEqual([]);
    const flexible = { schedules: cron("0 0 * * *"), flexibleWindow: "600s" };
    expect(await told(preview({ job: flexible }))).toEqual([]);
  });

  test("is counted by wall clock time, and includes rates", async () => {
    await crowd(12, cron("0 9 * * *", "Asia/Kolkata"));
    const atNine = ["2026-03-03T03:30:00.000Z", "12"];
    const kolkata = { schedules: cron("0 9 * * *", "Asia/Kolkata") };
    expect(await told(preview({ job: kolkata }))).toEqual([atNine]);
    const rate = (anchorTime: string) => ({ schedules: [{ rate: { every: "3600s", anchorTime } }] });
    for (let n = 0; n < 10; n++) await createJob({ name: `hourly-${n}`, ...rate("2026-01-01T00:00:00Z") });
    const atTen = ["2026-03-02T10:00:00.000Z", "10"];
    expect(await told(preview({ job: rate("2026-01-01T00:00:00Z") }))).toEqual([atTen]);
    expect(await told(preview({ job: rate("2026-01-01T00:10:00Z") }))).toEqual([]);
    expect(await told(preview({ job: { schedules: cron("0 * * * *") } }))).toEqual([atTen]);
  });

  test("needs at least ten living jobs of the same project", async () => {
    await crowd(10, cron("0 0 * * *"));
    expect(await told(preview({ job: { schedules: cron("0 0 * * *") } }))).toHaveLength(1);
    await pauseJob(bench.parts, { projectId: PROJECT, name: "other-0" }, { note: "", untilMs: null });
    const elsewhere = {
      projectId: "proj_other",
      request: { job: { name: "x", target, schedules: cron("0 0 * * *") } },
    };
    const { response } = await service.createJob(fromJson(CreateJobRequestSchema, elsewhere), context);
    expect(response?.warnings).toEqual([]);
    expect(await told(preview({ job: { schedules: cron("0 0 * * *") } }))).toEqual([]);
  });

  test("is looked for after the triggers that are handed over already", async () => {
    await crowd(10, cron("0 * * * *"));
    bench.setTime(Date.UTC(2026, 2, 2, 9, 59, 57));
    while ((await bench.tick.run()).more);
    expect(await told(preview({ job: { schedules: cron("0 * * * *") } }))).toEqual([
      ["2026-03-02T11:00:00.000Z", "10"],
    ]);
  });
});

describe("warnings within a job's start and end", () => {
  const paris = cron("30 2 * * *", "Europe/Paris");
  const dates = (answer: Answer) => said(answer, "OFFSET_CHANGE").map((text) => /On (\S+)/.exec(text)?.[1]);

  test("name only the clock changes within them", async () => {
    const ends = { name: "ends", schedules: paris, endTime: "2026-12-24T00:00:00Z" };
    expect(dates(await createJob(ends))).toEqual(["2026-03-29", "2026-10-25"]);
    expect(dates(await createJob({ name: "limited", schedules: paris, maxFires: 3 }))).toEqual([]);
    expect(dates(await preview({ name: "limited" }))).toEqual([]);
    expect(dates(await updateJob({ name: "limited", maxFires: 30 }))).toEqual(["2026-03-29"]);
  });

  test("say that the job has used up its maxFires", async () => {
    await createJob({ name: "spent", schedules: cron("30 9 * * *"), maxFires: 1 });
    bench.setTime(START + 3_600_000);
    while ((await bench.tick.run()).more);
    const spent = ["job.maxFires The job has made all triggers that maxFires allows."];
    expect(said(await updateJob({ name: "spent", labels: { team: "a" } }), "NEVER_FIRES")).toEqual(spent);
    expect(said(await preview({ name: "spent" }), "NEVER_FIRES")).toEqual(spent);
  });

  test("of a preview of the past apply from its start, and name that instant", async () => {
    const job = { schedules: cron("7 9 * * *"), endTime: "2025-06-01T00:00:00Z" };
    expect(said(await preview({ job, after: "2025-07-01T00:00:00Z" }), "NEVER_FIRES")).toEqual([
      "job.schedules[0] This schedule has no fire time after 2025-07-01T00:00:00.000Z, within the job's start and end.",
    ]);
    expect((await preview({ job, after: "2025-05-01T00:00:00Z" })).warnings ?? []).toEqual([]);
  });
});
