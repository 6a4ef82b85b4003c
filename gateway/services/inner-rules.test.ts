import { create, type DescService, type Message, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { CalendarService, CreateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import {
  ApplyJobsRequestSchema,
  BatchCreateJobsRequestSchema,
  BatchUpdateJobsRequestSchema,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import {
  CreateJobRequestSchema,
  GetJobRequestSchema,
  JobService,
  UpdateJobRequestSchema,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { PreviewScheduleRequestSchema, ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { callerKey } from "../access/caller.ts";
import { createInnerRules } from "./inner-rules.ts";

// biome-ignore lint/suspicious/noExplicitAny: requests of any method, looked into by the assertions.
type Asked = readonly [method: string, request: any];

/** Asks about a call and returns what the scheduler was asked, and the violations that came back. */
async function ask(
  call: { service: DescService; name: string; message: Message },
  wrong: readonly string[],
  answer: () => never | object = () => ({}),
) {
  const asked: Asked[] = [];
  const scheduler = new Proxy(
    {},
    {
      get: (_, method: string) => async (request: object) => {
        asked.push([method, request]);
        return answer();
      },
    },
  ) as GrpcClient<typeof SchedulerService>;
  const method = call.service.methods.find(({ localName }) => localName === call.name);
  if (method === undefined) throw new Error(`no method ${call.name}`);
  const contextValues = createContextValues();
  contextValues.set(callerKey, { kind: "project", projectId: "proj_a", keyId: "key_a" });
  const { signal } = new AbortController();
  const found = await createInnerRules(scheduler)(
    { method, message: call.message, contextValues, signal },
    wrong,
  );
  return { asked, found };
}

const job: MessageInitShape<typeof CreateJobRequestSchema>["job"] & object = {
  name: "Pay Roll",
  target: { kind: { case: "webhook", value: { url: "nowhere" } } },
  schedules: [
    { kind: { case: "cron", value: { expression: "61 * * * *" } } },
    { kind: { case: "rate", value: {} } },
  ],
  payloadJson: "1",
  maxFires: -1,
  labels: { a: "b" },
};
const inner = failure(
  "SCHEDULE_INVALID",
  { field: "x" },
  { violations: [{ field: "requests[1].job.schedules[0].cron.expression", description: "61" }] },
);

test("a new job is asked about with its right fields, and plain values in place of the wrong ones", async () => {
  const message = create(CreateJobRequestSchema, { job });
  const wrong = [
    "job.name",
    "job.target.webhook.url",
    "job.schedules[1].rate.every",
    "job.maxFires",
    "requestId",
  ];
  const { asked, found } = await ask({ service: JobService, name: "createJob", message }, wrong);
  expect(found).toEqual([]);
  expect(asked).toHaveLength(1);
  const [[method, { request, projectId }] = []] = asked as [Asked];
  expect([method, projectId, request.validateOnly]).toEqual(["createJob", "proj_a", true]);
  expect(toJson(JobSchema, request.job)).toEqual({
    name: "job-0",
    target: { webhook: { url: "https://example.com/" } },
    schedules: [{ cron: { expression: "61 * * * *" } }, { cron: { expression: "* * * * *" } }],
    labels: { a: "b" },
  });
  // The customer's request stays as it was.
  expect(message.job?.name).toBe("Pay Roll");
});

test("the jobs of a batch and of ApplyJobs are asked about together, and the paths are those of the request", async () => {
  const answer = () => {
    throw inner;
  };
  const batch = create(BatchCreateJobsRequestSchema, { requests: [{ job }, { job }, {}] });
  const one = await ask(
    { service: JobService, name: "batchCreateJobs", message: batch },
    ["requests[0].job.name"],
    answer,
  );
  expect(one.found).toEqual(inner.violations);
  expect(one.asked[0]?.[1].request.requests.map((each: { job: { name: string } }) => each.job.name)).toEqual([
    "job-0",
    "Pay Roll",
    "job-2",
  ]);
  const applied = create(ApplyJobsRequestSchema, { jobs: [job, job] });
  const two = await ask(
    { service: JobService, name: "applyJobs", message: applied },
    ["jobs[0].name"],
    answer,
  );
  expect(two.asked[0]?.[0]).toBe("batchCreateJobs");
  expect(two.found).toEqual([{ field: "jobs[1].schedules[0].cron.expression", description: "61" }]);
});

test("updates are asked about with their masks, unless a name or a mask is wrong", async () => {
  const updateMask = { paths: ["schedules"] };
  const message = create(UpdateJobRequestSchema, { job, updateMask });
  const { asked } = await ask({ service: JobService, name: "updateJob", message }, ["job.maxFires"]);
  expect(asked[0]?.[1].request).toMatchObject({
    updateMask,
    validateOnly: true,
    job: { name: "Pay Roll", maxFires: 0 },
  });
  const refused = await ask({ service: JobService, name: "updateJob", message }, ["job.name"]);
  expect(refused.asked).toEqual([]);
  const batch = create(BatchUpdateJobsRequestSchema, { requests: [{ job, updateMask }] });
  const many = await ask({ service: JobService, name: "batchUpdateJobs", message: batch }, [
    "requests[0].job.labels",
  ]);
  expect(many.asked[0]?.[1].request.requests[0].job.labels).toEqual({});
});

test("a job of a preview is asked about", async () => {
  const message = create(PreviewScheduleRequestSchema, { source: { case: "job", value: job }, count: 9_000 });
  const { asked } = await ask({ service: ScheduleService, name: "previewSchedule", message }, ["count"]);
  expect(asked[0]?.[1].request.count).toBe(1);
});

test("a calendar is checked without asking", async () => {
  const calendar = {
    timeZone: "Mars/Olympus",
    windows: [
      { days: ["MONDAY"], start: "9", end: "17:00" },
      { days: ["MONDAY"], start: "09:00", end: "17:00" },
      { days: ["MON"], start: "09:00", end: "17:00" },
    ],
    excludedDates: ["2027-02-28", "2027-02-29", "--02-30"],
  };
  const message = create(CreateCalendarRequestSchema, { calendar });
  const { asked, found } = await ask({ service: CalendarService, name: "createCalendar", message }, [
    "calendar.name",
  ]);
  expect(asked).toEqual([]);
  expect(found.map(({ field }) => field)).toEqual([
    "calendar.timeZone",
    "calendar.windows[0].start",
    "calendar.windows[2].days[0]",
    "calendar.excludedDates[1]",
    "calendar.excludedDates[2]",
  ]);
});

test("a list that is too long, and other methods, are not asked about; other errors say nothing", async () => {
  const batch = create(BatchCreateJobsRequestSchema, { requests: [{ job }] });
  expect(
    (await ask({ service: JobService, name: "batchCreateJobs", message: batch }, ["requests"])).asked,
  ).toEqual([]);
  const get = create(GetJobRequestSchema);
  expect((await ask({ service: JobService, name: "getJob", message: get }, ["name"])).asked).toEqual([]);
  const message = create(CreateJobRequestSchema, { job });
  for (const error of [new Error("x"), failure("SERVICE_UNAVAILABLE", { service: "scheduler" })]) {
    const { found } = await ask({ service: JobService, name: "createJob", message }, ["job.name"], () => {
      throw error;
    });
    expect(found).toEqual([]);
  }
});
