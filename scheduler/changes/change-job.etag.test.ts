import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { etagOf, type JobRow } from "../job/job.ts";
import { readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { deleteJob, pauseJob } from "./pause-job.ts";
import { updateJob } from "./update-job.ts";

const START = Date.UTC(2026, 2, 1, 9);
const target = { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } };
const reference = { projectId: PROJECT, name: "payroll" };

let bench: SchedulerBench;
let row: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  row = await bench.createJob({ name: "payroll", target });
});
afterEach(() => bench.close());

const update = (etag: string, team: string) => {
  const job = { name: "payroll", etag, labels: { team } };
  const request = create(UpdateJobRequestSchema, { job, updateMask: { paths: ["labels"] } });
  return updateJob(bench.parts, PROJECT, request);
};
const read = () => readJob(bench.parts, PROJECT, reference);

test("one of four concurrent updates with the same etag succeeds, and the errors of the others name the change that came first", async () => {
  const etag = etagOf(row);
  const settled = await Promise.allSettled(["a", "b", "c", "d"].map((team) => update(etag, team)));
  const won = settled.filter(({ status }) => status === "fulfilled");
  expect(won).toHaveLength(1);
  const now = await read();
  expect(now).toMatchObject({ revision: 2, epoch: 2 });
  for (const each of settled) {
    if (each.status === "fulfilled") continue;
    expect(each.reason).toMatchObject({
      reason: "ETAG_MISMATCH",
      metadata: { given: etag, current: etagOf(now) },
    });
  }
  const winner = settled.findIndex(({ status }) => status === "fulfilled");
  expect(now.spec).toContain(`"team":"${"abcd"[winner]}"`);
});

test("a deletion with an outdated etag deletes nothing, and one with the current etag deletes the job", async () => {
  const etag = etagOf(row);
  await update(etag, "billing");
  await expect(deleteJob(bench.parts, { ...reference, etag })).rejects.toMatchObject({
    reason: "ETAG_MISMATCH",
    metadata: { given: etag },
  });
  const now = await read();
  expect(now).toMatchObject({ state: "ACTIVE", revision: 2 });
  await pauseJob(bench.parts, reference, { note: "", untilMs: null });
  await expect(deleteJob(bench.parts, { ...reference, etag: etagOf(now) })).rejects.toMatchObject({
    reason: "ETAG_MISMATCH",
  });
  await deleteJob(bench.parts, { ...reference, etag: etagOf(await read()) });
  await expect(read()).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});

test("a job with the name of a deleted job has another etag", async () => {
  const etag = etagOf(row);
  await deleteJob(bench.parts, { ...reference, etag });
  const next = await bench.createJob({ name: "payroll", target });
  await expect(deleteJob(bench.parts, { ...reference, etag })).rejects.toMatchObject({
    reason: "ETAG_MISMATCH",
    metadata: { current: etagOf(next) },
  });
});
