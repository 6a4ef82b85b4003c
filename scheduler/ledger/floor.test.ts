import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  AuditLedgerRequestSchema,
  ExplainFireTimeRequestSchema,
  ListFireTimesRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { auditJob, auditJobs } from "../audit/audit-ledger.ts";
import { createAuditRound } from "../audit/audit-round.ts";
import { createAuditSlots } from "../audit/slots.ts";
import { auditLedger } from "../audit-service.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { getOperation } from "../backfill/operations.ts";
import { runBackfill } from "../backfill/run.ts";
import { explainFireTime } from "../explain/explain-fire-time.ts";
import type { JobRow } from "../job/job.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listFireTimes } from "./list-fire-times.ts";

const START = Date.UTC(2026, 2, 1, 12);
/** What ended before this is removed. */
const FLOOR = START + 20_000;
const NOW = START + 60_000;

let bench: SchedulerBench;
let job: JobRow;

beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(everySecond("job"));
  bench.setTime(NOW);
  await bench.tick.run();
  await bench.succeed(job.uid);
});

afterEach(() => bench.close());

/** Sets the floor of the project and removes the triggers before it, as the dispatcher does. */
async function removeBefore(floorMs = FLOOR): Promise<void> {
  const floor = new Date(floorMs).toISOString();
  await bench.spoil(
    "dispatcher",
    `insert into dispatcher.retention (project_id, days, floor_time) values ($1, 1, $2)
     on conflict (project_id) do update set floor_time = excluded.floor_time`,
    [PROJECT, floor],
  );
  await bench.spoil("dispatcher", "delete from dispatcher.triggers where fire_time < $1", [floor]);
}

const list = (startMs?: number, more: { pageSize?: number; pageToken?: string } = {}) =>
  listFireTimes(
    bench.parts,
    PROJECT,
    create(ListFireTimesRequestSchema, {
      job: "job",
      ...(startMs === undefined ? {} : { startTime: timestampFromMs(startMs) }),
      pageSize: 500,
      ...more,
    }),
  );
const explain = (atMs: number) =>
  explainFireTime(
    bench.parts,
    PROJECT,
    create(ExplainFireTimeRequestSchema, { job: "job", nominalTime: timestampFromMs(atMs) }),
  );
const audit = (startMs?: number) =>
  auditLedger(
    bench.parts,
    createAuditSlots(),
    PROJECT,
    create(AuditLedgerRequestSchema, {
      job: "job",
      ...(startMs === undefined ? {} : { startTime: timestampFromMs(startMs) }),
    }),
  );
const backfill = (startMs: number, more: { dryRun?: boolean } = {}) =>
  backfillJob(
    bench.parts,
    PROJECT,
    create(BackfillJobRequestSchema, {
      name: "job",
      startTime: timestampFromMs(startMs),
      endTime: timestampFromMs(START + 40_000),
      force: true,
      maxPerSecond: 5,
      ...more,
    }),
  );

const refused = (field: string) => ({
  reason: "OUT_OF_RETENTION",
  metadata: { floor: new Date(FLOOR).toISOString(), field },
  violations: [{ field }],
});

test("a range that begins before the floor is refused with the floor, and not answered MISSED", async () => {
  await removeBefore();
  await expect(list(FLOOR - 1)).rejects.toMatchObject(refused("startTime"));
  await expect(explain(FLOOR - 1_000)).rejects.toMatchObject(refused("nominalTime"));
  await expect(audit(FLOOR - 1)).rejects.toMatchObject(refused("startTime"));
  await expect(backfill(FLOOR - 1)).rejects.toMatchObject(refused("startTime"));
  await expect(backfill(FLOOR - 1, { dryRun: true })).rejects.toMatchObject(refused("startTime"));
});

test("a range from the floor on is answered in full, and a range without a start begins there", async () => {
  await removeBefore();
  for (const page of [await list(FLOOR), await list()]) {
    expect(page.fireTimes?.[0]?.nominalTime).toEqual(timestampFromMs(FLOOR));
    expect(page.fireTimes?.filter(({ verdict }) => verdict !== 1)).toEqual([]);
    expect(page.fireTimes).toHaveLength(40);
  }
  expect(await explain(FLOOR)).toMatchObject({ verdict: 1 });
  expect(await audit()).toMatchObject({ fireTimeCount: 40n, differences: [] });
});

test("a page that would go on before the floor is refused", async () => {
  const { nextPageToken } = await list(undefined, { pageSize: 5 });
  await removeBefore();
  await expect(list(undefined, { pageSize: 5, pageToken: nextPageToken ?? "" })).rejects.toMatchObject(
    refused("startTime"),
  );
});

test("the ledger of a job that was created after the floor begins with the job", async () => {
  await removeBefore(START - 86_400_000);
  expect((await list(START - 2 * 86_400_000)).fireTimes).toHaveLength(59);
  expect((await explain(START - 2 * 86_400_000)).explanation).toMatch(/did not exist then/);
});

test("an audit begins at the floor, and the first trigger after it may follow a removed one", async () => {
  await removeBefore();
  expect(await auditJob(bench.parts, job, START, NOW)).toMatchObject({ fireTimeCount: 40, differences: [] });
  const together = await auditJobs(bench.parts, [{ uid: job.uid, project_id: PROJECT, fromMs: START }], NOW);
  expect(together.get(job.uid)).toMatchObject({ fireTimeCount: 40, differences: [] });
  const told: object[] = [];
  const round = createAuditRound(bench.parts, { error: (fields: object) => told.push(fields) } as never);
  bench.setTime(NOW + 60_000);
  await bench.tick.run();
  expect(await round.run()).toEqual({ differences: 0, jobs: 1 });
  expect(told).toEqual([]);
});

test("an audit still finds a trigger that is missing after the floor", async () => {
  await removeBefore();
  await bench.spoil("dispatcher", "delete from dispatcher.triggers where fire_time = $1", [
    new Date(FLOOR + 5_000).toISOString(),
  ]);
  const found = await auditJob(bench.parts, job, START, NOW);
  expect(found?.differences.map(({ kind }) => kind)).toContain("BROKEN_CHAIN");
});

test("a backfill whose next fire times fall before the floor ends, says where, and makes no trigger again", async () => {
  const { name: uid } = await backfill(START + 1_000).then((operation) => ({ name: operation.id }));
  expect(await runBackfill(bench.parts)).toBe(true);
  await bench.succeed(job.uid);
  await removeBefore();
  bench.setTime(NOW + 2_000);
  const left = await bench.triggersOf(job.uid);
  expect(await runBackfill(bench.parts)).toBe(true);
  const ended = await getOperation(bench.parts, PROJECT, uid);
  expect(ended).toMatchObject({ state: 3 });
  expect(ended.error).toContain(new Date(FLOOR).toISOString());
  expect(await bench.triggersOf(job.uid)).toEqual(left);
});
