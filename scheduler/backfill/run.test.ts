import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { updateJob } from "../changes/update-job.ts";
import { openBench, PROJECT } from "../testing/bench.ts";
import { backfillJob } from "./backfill.ts";
import { runBackfill } from "./run.ts";

const START = Date.UTC(2026, 2, 2, 12);
const HOUR = 3_600_000;
const targetOf = (url: string) => ({ kind: { case: "webhook" as const, value: { url } } });

test("a dead letter of an old revision is redelivered under the job's present revision", async () => {
  const bench = await openBench(START);
  const job = await bench.createJob({
    name: "payroll",
    schedules: [{ kind: { case: "cron", value: { expression: "0 * * * *" } } }],
    target: targetOf("https://example.com/wrong"),
  });
  const backfill = async () => {
    const startTime = timestampFromMs(START - HOUR);
    const range = { name: "payroll", startTime, endTime: timestampFromMs(START) };
    await backfillJob(bench.parts, PROJECT, create(BackfillJobRequestSchema, range));
    while (await runBackfill(bench.parts)) bench.setTime(bench.parts.clock.now() + 2_000);
  };
  await backfill();
  const [dead] = await bench.triggersOf(job.uid);
  expect(dead).toMatchObject({ revision: 1 });
  await bench.finish(dead?.id ?? "", "EXHAUSTED");
  const mended = { name: "payroll", target: targetOf("https://example.com/right") };
  const change = { job: mended, updateMask: { paths: ["target"] } };
  await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, change));
  await backfill();
  expect(await bench.triggersOf(job.uid)).toMatchObject([{ id: dead?.id, state: "PENDING", revision: 2 }]);
  await bench.close();
});
