import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobSchema } from "../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../gen/easycron/v1/job_service_pb.ts";
import { LedgerDifferenceKind, Verdict, VerdictReason } from "../gen/easycron/v1/ledger_pb.ts";
import {
  AuditLedgerRequestSchema,
  ExplainFireTimeRequestSchema,
  ListFireTimesRequestSchema,
  SkipFireTimeRequestSchema,
} from "../gen/easycron/v1/ledger_service_pb.ts";
import { createAuditRound } from "./audit-round.ts";
import { auditLedger } from "./audit-service.ts";
import { createAuditSlots } from "./audit-slots.ts";
import { explainFireTime } from "./explain-fire-time.ts";
import type { JobRow } from "./job.ts";
import { listFireTimes } from "./list-fire-times.ts";
import { deleteJob, pauseJob, resumeJob } from "./pause-job.ts";
import { skipFireTime } from "./skip-fire-time.ts";
import { openBench, PROJECT, type SchedulerBench } from "./testing/bench.ts";
import { updateJob } from "./update-job.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const reference = { projectId: PROJECT, name: "payroll" };
const time = (minute: number) => timestampFromMs(START + minute * MINUTE);

let bench: SchedulerBench;
let job: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  const target = { webhook: { url: "https://example.com/" } };
  const schedules = [{ cron: { expression: "* * * * *" } }];
  job = await bench.createJob(fromJson(JobSchema, { name: "payroll", schedules, target }));
});
afterEach(() => bench.close());

const at = async (minute: number) => {
  bench.setTime(START + minute * MINUTE);
  while ((await bench.tick.run()).more);
};
const update = (fields: JsonObject) =>
  updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: fromJson(JobSchema, { name: "payroll", ...fields }) }),
  );

/** The ledger from the start to a minute, exclusive: minute, verdict and reason. */
async function list(untilMinute: number, pageSize = 0) {
  const rows: string[] = [];
  let pageToken = "";
  do {
    const endTime = time(untilMinute);
    const request = create(ListFireTimesRequestSchema, { job: "payroll", endTime, pageSize, pageToken });
    const page = await listFireTimes(bench.parts, PROJECT, request);
    for (const { nominalTime, verdict, reason } of page.fireTimes ?? []) {
      const atMs = nominalTime === undefined ? 0 : timestampMs(nominalTime as never);
      const why = reason === undefined || reason === 0 ? "" : ` ${nameOf(VerdictReason, reason)}`;
      rows.push(`${(atMs - START) / MINUTE} ${nameOf(Verdict, verdict ?? 0)}${why}`);
    }
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  return rows;
}

const nameOf = (values: Readonly<Record<string, number>>, value: number) =>
  Object.keys(values).find((name) => values[name] === value) ?? "";
const skip = (minute: number) =>
  skipFireTime(
    bench.parts,
    PROJECT,
    create(SkipFireTimeRequestSchema, { job: "payroll", nominalTime: time(minute) }),
  );
const explain = async (minute: number) => {
  const nominalTime = time(minute);
  const request = create(ExplainFireTimeRequestSchema, { job: "payroll", nominalTime });
  return (await explainFireTime(bench.parts, PROJECT, request)).explanation ?? "";
};
const audit = (fromMinute: number, toMinute: number) => {
  const range = { startTime: time(fromMinute), endTime: time(toMinute) };
  return auditLedger(
    bench.parts,
    createAuditSlots(),
    PROJECT,
    create(AuditLedgerRequestSchema, { job: "payroll", ...range }),
  );
};

test("lists every fire time with one verdict: across a pause, an edit, an outage, and ahead", async () => {
  await at(1);
  await pauseJob(bench.parts, reference, { note: "lunch", untilMs: null });
  await at(3);
  await resumeJob(bench.parts, reference);
  await at(4);
  await update({ schedules: [{ cron: { expression: "*/2 * * * *" } }], catchupWindow: "60s" });
  await at(10);
  const expected = [
    "1 TRIGGERED",
    "2 SKIPPED PAUSED",
    "3 SKIPPED PAUSED",
    "4 TRIGGERED",
    "6 MISSED CATCHUP_WINDOW",
    "8 MISSED CATCHUP_WINDOW",
    "10 TRIGGERED",
    "12 UPCOMING",
  ];
  expect(await list(13)).toEqual(expected);
  expect(await list(13, 3)).toEqual(expected);
  expect(await audit(0, 10)).toMatchObject({ fireTimeCount: 6n, differences: [] });
});

test("a deleted job keeps its ledger, and has no fire times after its end", async () => {
  await at(2);
  await deleteJob(bench.parts, reference);
  await at(5);
  expect(await list(5)).toEqual(["1 TRIGGERED", "2 TRIGGERED"]);
  expect(await explain(4)).toContain("deleted");
});

test("refuses a range that ends before it starts, a foreign page token, and a job that is not there", async () => {
  const ask = (fields: object) =>
    listFireTimes(bench.parts, PROJECT, create(ListFireTimesRequestSchema, { job: "payroll", ...fields }));
  await expect(ask({ startTime: time(2), endTime: time(1) })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "endTime" }],
  });
  await expect(ask({ pageToken: "nonsense" })).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  await expect(ask({ job: "other" })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});

test("another project sees nothing of it", async () => {
  const request = create(ListFireTimesRequestSchema, { job: "payroll" });
  await expect(listFireTimes(bench.parts, "proj_other", request)).rejects.toMatchObject({
    reason: "JOB_NOT_FOUND",
  });
});

describe("SkipFireTime", () => {
  test("leaves out one that lies ahead, and the chain has no hole", async () => {
    expect((await skip(3)).fireTime).toMatchObject({
      verdict: Verdict.SKIPPED,
      reason: VerdictReason.SKIPPED_BY_REQUEST,
    });
    await skip(3);
    for (const minute of [1, 2, 3, 4]) await at(minute);
    expect((await bench.triggersOf(job.uid)).map(({ seq, skipped }) => [seq, skipped])).toEqual([
      [1, 0],
      [2, 0],
      [3, 1],
    ]);
    expect(await list(5)).toContain("3 SKIPPED SKIPPED_BY_REQUEST");
  });

  test("takes one back that was handed over and has not started", async () => {
    await at(0.95);
    expect(await bench.triggersOf(job.uid)).toHaveLength(1);
    await skip(1);
    expect(await bench.triggersOf(job.uid)).toHaveLength(0);
    await at(2);
    expect(await list(3)).toEqual(["1 SKIPPED SKIPPED_BY_REQUEST", "2 TRIGGERED"]);
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ seq: 1, skipped: 1 });
  });

  test("refuses what is no fire time, and what has started or has another verdict", async () => {
    await at(0.95);
    const [first] = await bench.triggersOf(job.uid);
    await bench.start(first?.id ?? "");
    await expect(skip(1)).rejects.toMatchObject({ reason: "FIRE_TIME_DECIDED" });
    await expect(skip(1.5)).rejects.toMatchObject({ reason: "FIRE_TIME_NOT_FOUND" });
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await at(3);
    await expect(skip(2)).rejects.toMatchObject({ reason: "FIRE_TIME_DECIDED" });
  });

  test("takes at most 100 ahead", async () => {
    for (let minute = 1; minute <= 100; minute++) await skip(minute);
    await expect(skip(101)).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "nominalTime" }],
    });
  });
});

test("explains in words", async () => {
  await at(1);
  await pauseJob(bench.parts, reference, { note: "lunch", untilMs: null });
  await at(3);
  expect(await explain(1)).toMatch(/^It made the trigger trg_\w+, which is PENDING after 0 attempts\.$/);
  expect(await explain(2)).toBe('The job was paused at 2026-03-02T09:01:00.000Z ("lunch").');
  expect(await explain(2.5)).toBe(
    "It is no fire time of revision 1, which was in force: the next one after it is 2026-03-02T09:03:00.000Z.",
  );
  expect(await explain(-1)).toContain("did not exist");
  expect(await explain(9)).toContain("unless it is resumed");
});

describe("the audit", () => {
  test("finds what is not there, by request and by itself", async () => {
    await at(1);
    await at(2);
    await at(3);
    const [, second] = await bench.triggersOf(job.uid);
    await bench.lose(second?.id ?? "");
    await at(4);
    const { differences } = await audit(0, 4);
    expect(differences?.map(({ kind }) => kind)).toEqual([
      LedgerDifferenceKind.UNACCOUNTED,
      LedgerDifferenceKind.BROKEN_CHAIN,
    ]);
    const told: unknown[] = [];
    const round = createAuditRound(bench.parts, { error: (...args: unknown[]) => told.push(args) } as never);
    expect(await round.run()).toEqual({ differences: 2, jobs: 1 });
    expect(told).toHaveLength(2);
  });
});
