import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { CreateJobRequestSchema, JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import type { Edge } from "../../gen/easycron/v1/schedule_pb.ts";
import {
  PreviewScheduleRequestSchema,
  ScheduleService,
  SimulateScheduleRequestSchema,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import { EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import { createValidateInterceptor } from "./validate.ts";

const common = {
  stream: false,
  requestMethod: "POST",
  url: "http://a/",
  header: new Headers(),
  contextValues: createContextValues(),
  signal: new AbortController().signal,
} as const;

class Passed extends Error {}
const interceptor = createValidateInterceptor()(() => Promise.reject(new Passed()));

async function violationsOf(request: UnaryRequest) {
  const error: unknown = await interceptor(request).catch((thrown: unknown) => thrown);
  if (error instanceof Passed) return [];
  if (!(error instanceof EasyCronError)) throw error;
  expect(error.reason).toBe("FIELD_INVALID");
  expect(error.message).toBe(`${error.violations[0]?.field}: ${error.violations[0]?.description}`);
  return error.violations.map(({ field, description }) => `${field} | ${description}`);
}

const createJob = (job: MessageInitShape<typeof CreateJobRequestSchema>["job"]) =>
  violationsOf({
    ...common,
    service: JobService,
    method: JobService.method.createJob,
    message: create(CreateJobRequestSchema, job === undefined ? {} : { job }),
  });

const preview = (init: MessageInitShape<typeof PreviewScheduleRequestSchema>) =>
  violationsOf({
    ...common,
    service: ScheduleService,
    method: ScheduleService.method.previewSchedule,
    message: create(PreviewScheduleRequestSchema, init),
  });

const simulate = (init: MessageInitShape<typeof SimulateScheduleRequestSchema>) =>
  violationsOf({
    ...common,
    service: ScheduleService,
    method: ScheduleService.method.simulateSchedule,
    message: create(SimulateScheduleRequestSchema, init),
  });

const target = { kind: { case: "webhook", value: { url: "https://acme.io/" } } } as const;

test("the interceptor accepts a request that follows the rules", async () => {
  expect(await createJob({ name: "payroll", target })).toEqual([]);
});

test("an error names every wrong field by its JSON path, with the value", async () => {
  const headers = { "bad name": "v" };
  const violations = await createJob({
    name: "Pay Roll",
    target: { kind: { case: "webhook", value: { url: "https://acme.io/", method: "GET", headers } } },
    schedules: [{ kind: { case: "cron", value: { expression: "" } } }],
    attemptTimeout: { seconds: 2_000n },
    retryPolicy: { maxAttempts: 101 },
  });
  expect(violations).toEqual([
    expect.stringMatching(/^job\.name \| .*; it is "Pay Roll"\.$/),
    "job.schedules[0].cron.expression | It is required; accepted: a text.",
    expect.stringMatching(/^job\.target\.webhook\.method \| .*; it is "GET"\.$/),
    expect.stringMatching(/^job\.target\.webhook\.headers\["bad name"\] \| .*\.$/),
    expect.stringMatching(/^job\.retryPolicy\.maxAttempts \| .*; it is 101\.$/),
    expect.stringMatching(/^job\.attemptTimeout \| .*; it is "2000s"\.$/),
  ]);
});

test("an error says which fields of a oneof can be set", async () => {
  expect(await createJob({ name: "payroll", target: {} })).toEqual([
    "job.target.webhook|redis|kafka | Exactly one of webhook, redis, kafka must be set.",
  ]);
  expect(await preview({})).toEqual(["name|job | Exactly one of name, job must be set."]);
});

test("an error says which required field is missing", async () => {
  expect(await createJob(undefined)).toEqual(["job | It is required; accepted: an object, easycron.v1.Job."]);
  const schedules = [{ kind: { case: "rate", value: {} } } as const];
  expect(await createJob({ name: "payroll", target, schedules })).toEqual([
    'job.schedules[0].rate.every | It is required; accepted: seconds such as "90s" or "1.5s".',
  ]);
});

test("the interceptor handles values that are nested very deep", async () => {
  let payload: MessageInitShape<typeof import("@bufbuild/protobuf/wkt").ValueSchema> = {
    kind: { case: "boolValue", value: true },
  };
  for (let depth = 0; depth < 1_000; depth++)
    payload = { kind: { case: "listValue", value: { values: [payload] } } };
  expect(await createJob({ name: "payroll", target, payload })).toEqual([]);
});

test("an error says how many items a list or a map has that is too long", async () => {
  const schedules = Array.from({ length: 21 }, () => ({
    kind: { case: "cron", value: { expression: "* * * * *" } } as const,
  }));
  const labels = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, "b"]));
  expect(await createJob({ name: "payroll", target, schedules, labels })).toEqual([
    "job.schedules | Must have at most 20 items; it has 21.",
    "job.labels | Must have at most 64 entries; it has 65.",
  ]);
});

test("an error names the values that an enum accepts", async () => {
  const edge = (value: number) =>
    createJob({
      name: "payroll",
      target,
      schedules: [{ kind: { case: "calendarEdge", value: { calendar: "office", edge: value as Edge } } }],
    });
  const field = "job.schedules[0].calendarEdge.edge";
  expect(await edge(0)).toEqual([
    `${field} | Must be one of EDGE_OPENS, EDGE_CLOSES; it is EDGE_UNSPECIFIED.`,
  ]);
  expect(await edge(7)).toEqual([`${field} | Must be one of EDGE_OPENS, EDGE_CLOSES; it is 7.`]);
});

describe("a time that is finer than a millisecond is refused", () => {
  const whole = "Must be a whole number of milliseconds; it is";
  const second = (nanos: number) => ({ seconds: 1n, nanos });

  test.each([
    [999_500_000, '"0.999500s"'],
    [999_999_999, '"0.999999999s"'],
    [1_000_500_000, '"1.000500s"'],
    [31_536_000_000_100_000, '"31536000.000100s"'],
  ])("as an interval: %d ns", async (nanos, shown) => {
    const every = { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 };
    const schedules = [{ kind: { case: "rate", value: { every } } } as const];
    expect(await createJob({ name: "payroll", target, schedules })).toEqual([
      `job.schedules[0].rate.every | ${whole} ${shown}.`,
    ]);
  });

  test("in every other field of a request, and in all at once", async () => {
    const anchorTime = second(1);
    const job: MessageInitShape<typeof CreateJobRequestSchema>["job"] = {
      name: "payroll",
      target,
      schedules: [
        { kind: { case: "rate", value: { every: { seconds: 1n }, anchorTime } } },
        { kind: { case: "once", value: { at: { case: "time", value: second(1_500_000) } } } },
      ],
      startTime: second(1),
      endTime: second(999_999),
      flexibleWindow: second(1),
      catchupWindow: { seconds: 10n, nanos: 1 },
      retryPolicy: { minBackoff: second(1) },
    };
    const paths = (violations: readonly string[]) => violations.map((each) => each.split(" ")[0]);
    expect(paths(await createJob(job)).sort()).toEqual([
      "job.catchupWindow",
      "job.endTime",
      "job.flexibleWindow",
      "job.retryPolicy.minBackoff",
      "job.schedules[0].rate.anchorTime",
      "job.schedules[1].once.time",
      "job.startTime",
    ]);
    const range = { startTime: second(0), endTime: second(1) };
    const simulation = { source: { case: "name", value: "a" }, endTime: { seconds: 9n } } as const;
    // An instant outside of a job only says where to look: it is rounded.
    expect(paths(await simulate({ ...simulation, outages: [range], triggerDuration: second(1) }))).toEqual([
      "triggerDuration",
    ]);
  });

  test("but not where it is output only, nor when it is whole", async () => {
    const retryPolicy = { minBackoff: second(500_000_000) };
    expect(await createJob({ name: "a", target, createTime: second(1), retryPolicy })).toEqual([]);
  });
});

test("an error says in which years an instant may lie", async () => {
  const bound = "Must be a time from 1900-01-01T00:00:00Z to 2400-12-31T23:59:59.999Z; it is";
  const after = (iso: string) =>
    preview({ source: { case: "name", value: "a" }, after: timestampFromDate(new Date(iso)) });
  expect(await after("1899-12-31T23:59:59Z")).toEqual([`after | ${bound} "1899-12-31T23:59:59Z".`]);
  expect(await after("2401-01-01T00:00:00Z")).toEqual([`after | ${bound} "2401-01-01T00:00:00Z".`]);
  expect(await after("1900-01-01T00:00:00Z")).toEqual([]);
  expect(await after("2400-12-31T23:59:59.999Z")).toEqual([]);
});

test("the interceptor refuses an invalid duration, which only a binary request can contain", async () => {
  const source = { case: "name", value: "a" } as const;
  for (const triggerDuration of [{ seconds: 1n << 60n }, { seconds: 5n, nanos: -1_000_000 }]) {
    const violations = await simulate({ source, endTime: { seconds: 9n }, triggerDuration });
    expect(violations.at(-1)).toMatch(/^triggerDuration \| Must be .*; it is .*\.$/);
  }
});

test("what an inner service finds wrong with the rest is told too, once for each field", async () => {
  const asked: (readonly string[])[] = [];
  const asking = createValidateInterceptor(
    async () => [fieldFailure("URL_INVALID", "job.target.webhook.url", "No.", { value: "x" })],
    async (_, wrong) => {
      asked.push(wrong);
      return [
        { field: "job.name", description: "told already" },
        { field: "job.schedules[0].cron.expression", description: "61" },
      ];
    },
  )(() => Promise.reject(new Passed()));
  const request = (name: string) => ({
    ...common,
    service: JobService,
    method: JobService.method.createJob,
    message: create(CreateJobRequestSchema, { job: { name, target } }),
  });
  const error: unknown = await asking(request("Pay Roll")).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: "FIELD_INVALID" });
  const fields = (error as EasyCronError).violations.map(({ field }) => field);
  expect(fields).toEqual(["job.name", "job.target.webhook.url", "job.schedules[0].cron.expression"]);
  expect(asked).toEqual([["job.name", "job.target.webhook.url"]]);
  await expect(asking(request("payroll"))).rejects.toMatchObject({ reason: "URL_INVALID" });
});

test("a text that cannot be kept is refused by no other rule of its field", async () => {
  expect(await createJob({ name: "a\u0000b", target })).toEqual([
    "job.name | Must not hold the character U+0000; leave it out.",
  ]);
});
