import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { ListRevisionsRequestSchema, RevertJobRequestSchema } from "../../gen/easycron/v1/revision_pb.ts";
import { CronDialect } from "../../gen/easycron/v1/schedule_pb.ts";
import { deleteJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import { etagOf } from "../job/job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { getRevision, listRevisions } from "./read.ts";
import { revertJob } from "./revert.ts";

const START = Date.UTC(2026, 2, 1, 9);
const HOUR = 3_600_000;
const cron = (expression: string, dialect: CronDialect = CronDialect.STANDARD) => ({
  schedules: [{ kind: { case: "cron" as const, value: { expression, dialect } } }],
});

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
  const target = { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } };
  await bench.createJob({ name: "payroll", target, ...cron("0 */6 * * *") });
});
afterEach(() => bench.close());

const update = async (expression: string, dialect: CronDialect = CronDialect.STANDARD) => {
  const job = { name: "payroll", ...cron(expression, dialect) };
  await updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job, updateMask: { paths: ["schedules"] } }),
  );
};
const revert = (number: number, etag = "") => {
  const request = create(RevertJobRequestSchema, { name: "payroll", number, etag });
  return revertJob(bench.parts, PROJECT, request, "key_b");
};
const read = async (number: number) =>
  (await getRevision(bench.parts, PROJECT, { name: "payroll", number })).revision;

test("revisions are listed newest first, in pages", async () => {
  bench.setTime(START + HOUR);
  await update("0 */4 * * *");
  await update("0 */3 * * *");
  const request = create(ListRevisionsRequestSchema, { name: "payroll", pageSize: 2 });
  const first = await listRevisions(bench.parts, PROJECT, request);
  expect(first.revisions.map(({ number }) => number)).toEqual([3, 2]);
  expect(first.revisions[0]?.job?.schedules[0]?.kind.value).toMatchObject({ expression: "0 */3 * * *" });
  request.pageToken = first.nextPageToken;
  const second = await listRevisions(bench.parts, PROJECT, request);
  expect(second.revisions.map(({ number }) => number)).toEqual([1]);
  expect(second.nextPageToken).toBe("");
});

test("the difference of the first revision adds the fire times of its first seven days", async () => {
  const { difference } = await read(1);
  expect(difference).toMatchObject({ addedCount: 28, removedCount: 0, removed: [] });
  expect(difference?.added.map(timestampMs).slice(0, 2)).toEqual([START + 3 * HOUR, START + 9 * HOUR]);
  expect(difference?.added).toHaveLength(10);
});

test("the difference of a later revision lists added and removed fire times, and leaves out those that stay", async () => {
  bench.setTime(START + HOUR);
  await update("0 */4 * * *");
  const { difference } = await read(2);
  // Of every 12 hours 0 stays, 4 and 8 are new, 6 is no longer.
  expect(difference).toMatchObject({ addedCount: 28, removedCount: 14 });
  expect(difference?.added.map(timestampMs).slice(0, 2)).toEqual([START + 7 * HOUR, START + 11 * HOUR]);
  expect(difference?.removed.map(timestampMs)[0]).toBe(START + 9 * HOUR);
});

test("the difference of a job that fires every second compares 50,000 fire times, and says up to when", async () => {
  await update("* * * * * *", CronDialect.WITH_SECONDS);
  const { difference } = await read(2);
  expect(difference?.endTime && timestampMs(difference.endTime)).toBe(START + 50_001_000 - 1);
  expect(difference?.addedCount).toBe(50_000 - 2);
});

test("a revert applies an old specification as a new revision, and records who did it", async () => {
  await update("0 */4 * * *");
  const { row } = await revert(1);
  expect(row.revision).toBe(3);
  const third = await read(3);
  expect(third.job?.schedules).toEqual((await read(1)).job?.schedules);
  expect(third).toMatchObject({ actor: "key_b", difference: { addedCount: 14, removedCount: 28 } });
  expect((await revert(1)).row.revision).toBe(3);
});

test("a revert with an outdated etag is refused", async () => {
  const { row } = await revert(1);
  await update("0 */4 * * *");
  await expect(revert(1, etagOf(row))).rejects.toMatchObject({ reason: "ETAG_MISMATCH" });
  await expect(revert(9)).rejects.toMatchObject({ reason: "REVISION_NOT_FOUND" });
});

test("the revisions of a deleted job can be read by its name until another job has that name", async () => {
  await update("0 */4 * * *");
  const request = create(ListRevisionsRequestSchema, { name: "payroll" });
  const numbers = async () =>
    (await listRevisions(bench.parts, PROJECT, request)).revisions.map(({ number }) => number);
  const before = await read(2);
  await deleteJob(bench.parts, { projectId: PROJECT, name: "payroll" });
  expect(await numbers()).toEqual([2, 1]);
  expect(await read(2)).toEqual(before);
  await expect(read(3)).rejects.toMatchObject({ reason: "REVISION_NOT_FOUND", metadata: { last: "2" } });
  await expect(revert(1)).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
  bench.setTime(START + HOUR);
  await bench.createJob({ name: "payroll", target: before.job?.target ?? {}, ...cron("0 9 * * *") });
  expect(await numbers()).toEqual([1]);
});

test("an error names a job or revision that does not exist", async () => {
  await expect(read(2)).rejects.toMatchObject({
    reason: "REVISION_NOT_FOUND",
    metadata: { revision: "2", last: "1" },
  });
  await expect(read(4_000_000_000)).rejects.toMatchObject({ reason: "REVISION_NOT_FOUND" });
  const name = "none";
  await expect(getRevision(bench.parts, PROJECT, { name, number: 1 })).rejects.toMatchObject({
    reason: "JOB_NOT_FOUND",
  });
  await expect(getRevision(bench.parts, "proj_other", { name: "payroll", number: 1 })).rejects.toMatchObject({
    reason: "JOB_NOT_FOUND",
  });
  const request = create(ListRevisionsRequestSchema, { name });
  await expect(listRevisions(bench.parts, PROJECT, request)).rejects.toMatchObject({
    reason: "JOB_NOT_FOUND",
  });
});
