import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ApplyJobsRequestSchema, BatchCreateJobsRequestSchema } from "../../gen/easycron/v1/job_batch_pb.ts";
import { JobSchema, WarningCode } from "../../gen/easycron/v1/job_pb.ts";
import {
  CreateJobRequestSchema,
  ListJobsRequestSchema,
  UpdateJobRequestSchema,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { PreviewScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { applyJobs } from "../batch/apply.ts";
import { batchCreateJobs } from "../batch/create.ts";
import { createJob } from "../changes/create-job.ts";
import { updateJob } from "../changes/update-job.ts";
import { stateAt } from "../job/job.ts";
import { previewSchedule } from "../preview/preview-schedule.ts";
import { listJobs } from "../reading/list-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

const NOW = Date.UTC(2026, 2, 1, 9);
const once = (time: string) => ({ once: { time } });
const past = [once("2026-03-01T08:59:59Z"), { once: { localTime: "2026-02-28T23:00:00" } }];
const coming = once("2026-03-01T09:00:01Z");

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(NOW);
});
afterEach(() => bench.close());

const job = (change: JsonObject) =>
  fromJson(JobSchema, { name: "payroll", target: { webhook: { url: "https://acme.io/" } }, ...change });
const make = (change: JsonObject) =>
  createJob(bench.parts, PROJECT, create(CreateJobRequestSchema, { job: job(change) }));
const update = (change: JsonObject, ...paths: string[]) =>
  updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: job(change), updateMask: { paths } }),
  );
const apply = (...changes: JsonObject[]) =>
  applyJobs(
    bench.parts,
    PROJECT,
    create(ApplyJobsRequestSchema, { jobs: changes.map(job), labels: { a: "b" } }),
    "",
  );

const neverFires = (field: string) => ({
  reason: "SCHEDULE_NEVER_FIRES",
  metadata: {
    value: "2026-03-01T08:59:59.000Z",
    problem: expect.stringContaining("2026-03-01T09:00:00.000Z"),
  },
  violations: [
    { field, description: expect.stringMatching(/^The job would never fire: "2026-03-01T08:59:59.000Z"/) },
  ],
});
const cron = [{ cron: { expression: "0 9 * * *" } }];

describe("a job whose fire times have all passed", () => {
  test("is refused together with all else that is wrong", async () => {
    const retryPolicy = { minBackoff: "10s", maxBackoff: "5s" };
    const wrong = { schedules: past, retryPolicy, calendars: [{ name: "a" }, { name: "a" }] };
    const fields = (prefix: string) => ({
      violations: ["retryPolicy.maxBackoff", "calendars[1].name", "schedules"].map((field) =>
        expect.objectContaining({ field: `${prefix}.${field}` }),
      ),
    });
    await expect(make(wrong)).rejects.toMatchObject(fields("job"));
    await expect(apply(wrong)).rejects.toMatchObject(fields("jobs[0]"));
    await make({ schedules: [coming] });
    await expect(update(wrong, "schedules", "retry_policy", "calendars")).rejects.toMatchObject(
      fields("job"),
    );
  });

  test("is not created, alone or in a batch, and nothing is stored", async () => {
    await expect(make({ schedules: past })).rejects.toMatchObject(neverFires("job.schedules"));
    const requests = [{ job: job({ schedules: [coming] }) }, { job: job({ name: "b", schedules: past }) }];
    const batch = create(BatchCreateJobsRequestSchema, { requests });
    await expect(batchCreateJobs(bench.parts, PROJECT, batch, "")).rejects.toMatchObject(
      neverFires("requests[1].job.schedules"),
    );
    await expect(apply({ schedules: [coming] }, { name: "b", schedules: past })).rejects.toMatchObject(
      neverFires("jobs[1].schedules"),
    );
    const { jobs } = await listJobs(bench.parts, PROJECT, create(ListJobsRequestSchema));
    expect(jobs).toEqual([]);
  });

  test("because local times do not exist is not created either", async () => {
    const localTime = { once: { localTime: "2027-03-28T02:30:00" }, timeZone: "Europe/Paris" };
    const schedules = [{ ...localTime, dstPolicy: { gap: "DST_GAP_SKIP" } }];
    await expect(make({ schedules })).rejects.toMatchObject({ reason: "SCHEDULE_NEVER_FIRES" });
  });

  test("is created when one of them is yet to come, or when it recurs", async () => {
    await make({ schedules: [...past, coming] });
    await make({ name: "other", schedules: [...past, ...cron] });
  });

  test("can still be previewed, with no fire times and a warning", async () => {
    const source = { case: "job" as const, value: job({ schedules: past, endTime: "2026-02-01T00:00:00Z" }) };
    const request = create(PreviewScheduleRequestSchema, { source });
    const { fireTimes, warnings } = await previewSchedule(bench.parts, PROJECT, request);
    expect(fireTimes).toEqual([]);
    expect(warnings?.[0]).toMatchObject({ code: WarningCode.NEVER_FIRES });
  });
});

describe("a job that has fired for the last time", () => {
  beforeEach(async () => {
    await make({ schedules: [coming], labels: { a: "b" } });
    bench.setTime(NOW + 60_000);
    await bench.tick.run();
  });

  test("may be changed and applied again while its schedules stay the same", async () => {
    const { row } = await update({ payload: 7 }, "payload");
    expect(stateAt(row, bench.parts.clock.now())).toBe("FINISHED");
    expect((await apply({ schedules: [coming], payload: 7 })).unchangedCount).toBe(1);
    expect((await apply({ schedules: [coming], payload: 8 })).updated).toEqual(["payroll"]);
  });

  test("may not be given other fire times that have passed", async () => {
    const refused = { reason: "SCHEDULE_NEVER_FIRES", violations: [{ field: "job.schedules" }] };
    await expect(update({ schedules: past }, "schedules")).rejects.toMatchObject(refused);
    await expect(apply({ schedules: past })).rejects.toMatchObject({
      violations: [{ field: "jobs[0].schedules" }],
    });
    const later = await update({ schedules: [once("2026-03-02T00:00:00Z")] }, "schedules");
    expect(stateAt(later.row, bench.parts.clock.now())).toBe("ACTIVE");
  });
});

test("a recurring job whose end is in the past is created as FINISHED, for a backfill", async () => {
  const { row } = await make({ schedules: cron, endTime: "2026-02-01T00:00:00Z" });
  expect(stateAt(row, NOW)).toBe("FINISHED");
});
