import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  GetJobRequestSchema,
  ListJobsRequestSchema,
  UpdateJobRequestSchema,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { createSchedulerService } from "../scheduler-service.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "../turns/tick.ts";

const START = Date.UTC(2026, 2, 1, 9);

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
  await bench.createJob(everySecond("good"));
});
afterEach(() => bench.close());

/** A scheduler that has compiled nothing yet: its handlers and its tick. */
function fresh() {
  const parts = { ...bench.parts, schedules: createScheduleCache(100, bench.parts.zoneData) };
  const handlers = createSchedulerService(parts);
  const call = { signal: new AbortController().signal } as never;
  const getJob = async (name: string) => {
    const request = create(GetJobRequestSchema, { name });
    return (await handlers.getJob({ projectId: PROJECT, request } as never, call)).response?.job;
  };
  const problems = async () => {
    const request = create(ListJobsRequestSchema);
    const { response } = await handlers.listJobs({ projectId: PROJECT, request } as never, call);
    return Object.fromEntries((response?.jobs ?? []).map(({ name, problem }) => [name, problem]));
  };
  const update = async () => {
    const job = everySecond("bad");
    const request = create(UpdateJobRequestSchema, { job, updateMask: { paths: ["schedules"] } });
    return (await handlers.updateJob({ projectId: PROJECT, request, actor: "" } as never, call)).response;
  };
  const tick = createTick({ ...parts, onTrouble: () => {} });
  return { getJob, problems, update, tick };
}

test("GetJob and ListJobs say why a job is set aside, and when it is tried again", async () => {
  const { uid } = await bench.createJob(everySecond("bad"));
  await bench.spoil("scheduler", "update scheduler.revisions set spec = '\"nonsense\"' where job_uid = $1", [
    uid,
  ]);
  const { getJob, problems, tick } = fresh();
  bench.setTime(START + 1_000);
  expect(await problems()).toEqual({ good: "", bad: "" });
  await tick.run();
  const problem =
    "The job's specification cannot be read. EasyCron support has been alerted; next try at 2026-03-01T09:01:01Z.";
  expect(await problems()).toEqual({ good: "", bad: problem });
  expect(await getJob("bad")).toMatchObject({ name: "bad", uid, problem, schedules: [] });
  expect(await getJob("good")).toMatchObject({ problem: "" });
});

test("GetJob shows a job whose carry cannot be read", async () => {
  const { uid } = await bench.createJob(everySecond("bad"));
  await bench.spoil("scheduler", "update scheduler.jobs set carry = '[]' where uid = $1", [uid]);
  const { getJob, tick } = fresh();
  bench.setTime(START + 1_000);
  await tick.run();
  const job = await getJob("bad");
  expect(job?.problem).toMatch(/^What EasyCron has stored about the job's fire times cannot be read\./);
  expect(job?.nextFireTime).toBeUndefined();
});

test("a change of the job takes its problem away until it is tried again", async () => {
  const { uid } = await bench.createJob(everySecond("bad"));
  await bench.spoil(
    "scheduler",
    `update scheduler.revisions set spec = replace(spec::text, '"timeZone":"UTC"', '"timeZone":"Asia/Gone"')::json
      where job_uid = $1`,
    [uid],
  );
  const { getJob, update, tick } = fresh();
  bench.setTime(START + 1_000);
  await tick.run();
  expect((await getJob("bad"))?.problem).toMatch(/^The job's specification cannot be used: .*Asia\/Gone/);
  bench.setTime(START + 2_000);
  expect((await update())?.job?.problem).toBe("");
  await tick.run();
  expect((await getJob("bad"))?.problem).toBe("");
});
