import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createContextValues, type UnaryRequest } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { CreateJobRequestSchema, JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { PreviewScheduleRequestSchema, ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
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

const target = { kind: { case: "webhook", value: { url: "https://acme.io/" } } } as const;

test("lets a request through that keeps the rules", async () => {
  expect(await createJob({ name: "payroll", target })).toEqual([]);
});

test("names every field by its JSON path, with the value", async () => {
  const headers = { "bad name": "v" };
  const violations = await createJob({
    name: "Pay Roll",
    target: { kind: { case: "webhook", value: { url: "https://acme.io/", method: "GET", headers } } },
    schedules: [{ kind: { case: "cron", value: { expression: "" } } }],
    attemptTimeout: { seconds: 500n },
    retryPolicy: { maxAttempts: 21 },
  });
  expect(violations).toEqual([
    expect.stringMatching(/^job\.name \| .*; it is "Pay Roll"\.$/),
    expect.stringMatching(/^job\.schedules\[0\]\.cron\.expression \| .*; it is ""\.$/),
    expect.stringMatching(/^job\.target\.webhook\.method \| .*; it is "GET"\.$/),
    expect.stringMatching(/^job\.target\.webhook\.headers\["bad name"\] \| .*\.$/),
    expect.stringMatching(/^job\.retryPolicy\.maxAttempts \| .*; it is 21\.$/),
    expect.stringMatching(/^job\.attemptTimeout \| .*\.$/),
  ]);
});

test("says which of several fields there must be", async () => {
  expect(await createJob({ name: "payroll", target: {} })).toEqual([
    "job.target.webhook|redis|kafka | Exactly one of webhook, redis, kafka must be set.",
  ]);
  expect(await preview({})).toEqual(["name|job | Exactly one of name, job must be set."]);
});

test("says what is missing", async () => {
  expect(await createJob(undefined)).toEqual([expect.stringMatching(/^job \| .*required/i)]);
});

test("is not led astray by what is nested without end", async () => {
  let payload: MessageInitShape<typeof import("@bufbuild/protobuf/wkt").ValueSchema> = {
    kind: { case: "boolValue", value: true },
  };
  for (let depth = 0; depth < 1_000; depth++)
    payload = { kind: { case: "listValue", value: { values: [payload] } } };
  expect(await createJob({ name: "payroll", target, payload })).toEqual([]);
});
