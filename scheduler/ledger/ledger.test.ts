import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { LedgerDifferenceKind, Verdict, VerdictReason } from "../../gen/easycron/v1/ledger_pb.ts";
import {
  AuditLedgerRequestSchema,
  ExplainFireTimeRequestSchema,
  ListFireTimesRequestSchema,
  SkipFireTimeRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { createAuditRound } from "../audit/audit-round.ts";
import { createAuditSlots } from "../audit/slots.ts";
import { auditLedger } from "../audit-service.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { runBackfill } from "../backfill/run.ts";
import { createCalendar } from "../calendars/change.ts";
import { deleteJob, pauseJob, resumeJob } from "../changes/pause-job.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { updateJob } from "../changes/update-job.ts";
import { explainFireTime } from "../explain/explain-fire-time.ts";
import type { JobRow } from "../job/job.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listFireTimes } from "./list-fire-times.ts";

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

test("ListFireTimes gives every fire time one verdict, across a pause, an edit, an outage, and in the future", async () => {
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

test("ListFireTimes refuses a range that ends before it starts, a page token of another list, and a job that does not exist", async () => {
  const ask = (fields: object) =>
    listFireTimes(bench.parts, PROJECT, create(ListFireTimesRequestSchema, { job: "payroll", ...fields }));
  await expect(ask({ startTime: time(2), endTime: time(1) })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "endTime" }],
  });
  await expect(ask({ startTime: time(2) })).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "startTime" }],
  });
  await expect(ask({ pageToken: "nonsense" })).rejects.toMatchObject({
    reason: "PAGE_TOKEN_INVALID",
    violations: [{ field: "pageToken" }],
  });
  await expect(ask({ job: "other" })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});

test("a page token is valid only for its own job and range", async () => {
  await at(3);
  const range = { job: "payroll", startTime: time(0), endTime: time(3) };
  const ask = (fields: object) =>
    listFireTimes(
      bench.parts,
      PROJECT,
      create(ListFireTimesRequestSchema, { ...range, pageSize: 1, ...fields }),
    );
  const { nextPageToken: pageToken = "" } = await ask({});
  expect(pageToken).not.toBe("");
  expect((await ask({ pageToken })).fireTimes).toHaveLength(1);
  expect((await ask({ pageToken, job: job.uid })).fireTimes).toHaveLength(1);
  const other = { ...everySecond("other") };
  await bench.createJob(other);
  for (const fields of [{ endTime: time(2) }, { startTime: time(-1) }, { job: "other" }]) {
    await expect(ask({ ...fields, pageToken })).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  }
});

test("triggers of a backfill under another revision do not push other triggers out of a page", async () => {
  await at(1);
  await update({
    schedules: [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }],
  });
  bench.setTime(START + 1.2 * MINUTE);
  const backfill = { name: "payroll", startTime: time(0), endTime: time(1), maxPerSecond: 1_000 };
  await backfillJob(bench.parts, PROJECT, create(BackfillJobRequestSchema, backfill));
  while (await runBackfill(bench.parts));
  expect((await bench.triggersOf(job.uid)).length).toBeGreaterThan(50);
  expect(await list(1.01)).toEqual(["1 TRIGGERED"]);
});

test("upcoming fire times outside a calendar or skipped by request do not count towards maxFires", async () => {
  const windows = [{ days: ["MONDAY"], start: "09:00", end: "09:03" }];
  const calendar = create(CalendarSchema, {
    name: "short",
    windows: [...windows, { days: ["MONDAY"], start: "09:06", end: "10:00" }],
  });
  await createCalendar(bench.parts, PROJECT, calendar);
  await update({ maxFires: 4, calendars: [{ name: "short" }] });
  await skip(2);
  expect(await list(12)).toEqual([
    "1 UPCOMING",
    "2 SKIPPED SKIPPED_BY_REQUEST",
    ...[3, 4, 5, 6, 7, 8].map((minute) => `${minute} UPCOMING`),
  ]);
  expect((await skip(8)).fireTime).toMatchObject({ reason: VerdictReason.SKIPPED_BY_REQUEST });
  expect(await list(12)).toContain("9 UPCOMING");
  for (let minute = 1; minute <= 12; minute++) await at(minute);
  expect((await list(12)).filter((row) => row.endsWith("TRIGGERED"))).toHaveLength(4);
  expect((await list(12)).at(-1)).toBe("9 TRIGGERED");
});

test("the ledger of a deleted job is found by its id when another job has the name", async () => {
  await at(2);
  await deleteJob(bench.parts, reference);
  await at(3);
  await bench.createJob({ ...everySecond("payroll"), name: "payroll" });
  const of = async (name: string) => {
    const request = create(ListFireTimesRequestSchema, { job: name, endTime: time(3) });
    return (await listFireTimes(bench.parts, PROJECT, request)).fireTimes?.length;
  };
  expect(await of("payroll")).toBe(0);
  expect(await of(job.uid)).toBe(2);
  expect(await explain(2)).toContain(`Another job had this name then; ask again with its id, ${job.uid}.`);
  const request = create(AuditLedgerRequestSchema, { job: job.uid, startTime: time(0) });
  const audited = await auditLedger(bench.parts, createAuditSlots(), PROJECT, request);
  expect(audited).toMatchObject({ fireTimeCount: 2n, differences: [] });
  const asked = create(SkipFireTimeRequestSchema, { job: job.uid, nominalTime: time(9) });
  await expect(skipFireTime(bench.parts, PROJECT, asked)).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});

test("a trigger that waits for a retry says when the retry is due", async () => {
  await at(1);
  const [first] = await bench.triggersOf(job.uid);
  await bench.start(first?.id ?? "");
  await bench.fail(first?.id ?? "");
  const request = create(ListFireTimesRequestSchema, { job: "payroll", endTime: time(2) });
  const { fireTimes } = await listFireTimes(bench.parts, PROJECT, request);
  expect(fireTimes?.[0]?.trigger).toMatchObject({ nextAttemptTime: time(1) });
});

test("a page of the ledger reads only the revisions that it needs of a job that was changed often", async () => {
  for (let minute = 1; minute <= 4; minute++) {
    await at(minute);
    await update({ labels: { minute: `${minute}` } });
  }
  await at(5);
  const asked: number[] = [];
  const { schedules } = bench.parts;
  const load: typeof schedules.load = (on, rows) => {
    asked.push(...rows.map(({ revision }) => revision));
    return schedules.load(on, rows);
  };
  const parts = { ...bench.parts, schedules: { ...schedules, load } };
  const range = { startTime: time(1.5), endTime: time(2.5) };
  const request = create(ListFireTimesRequestSchema, { job: "payroll", ...range });
  expect((await listFireTimes(parts, PROJECT, request)).fireTimes).toHaveLength(1);
  expect(asked).toEqual([2, 3]);
});

test("another project cannot see the ledger", async () => {
  const request = create(ListFireTimesRequestSchema, { job: "payroll" });
  await expect(listFireTimes(bench.parts, "proj_other", request)).rejects.toMatchObject({
    reason: "JOB_NOT_FOUND",
  });
});

describe("SkipFireTime", () => {
  test("leaves out a future fire time, and the chain has no hole", async () => {
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

  test("withdraws a fire time that was handed over and has not started", async () => {
    await at(0.95);
    expect(await bench.triggersOf(job.uid)).toHaveLength(1);
    await skip(1);
    expect(await bench.triggersOf(job.uid)).toHaveLength(0);
    await at(2);
    expect(await list(3)).toEqual(["1 SKIPPED SKIPPED_BY_REQUEST", "2 TRIGGERED"]);
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ seq: 1, skipped: 1 });
  });

  test("on a paused job is covered by the pause when the fire time comes", async () => {
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    expect((await skip(3)).fireTime).toMatchObject({ reason: VerdictReason.SKIPPED_BY_REQUEST });
    await at(4);
    expect(await list(4)).toContain("3 SKIPPED PAUSED");
  });

  test("refuses an instant that is no fire time, and a fire time that has started or has another verdict", async () => {
    await at(0.95);
    const [first] = await bench.triggersOf(job.uid);
    await bench.start(first?.id ?? "");
    const violations = [{ field: "nominalTime" }];
    await expect(skip(1)).rejects.toMatchObject({ reason: "FIRE_TIME_DECIDED", violations });
    await expect(skip(1.5)).rejects.toMatchObject({ reason: "FIRE_TIME_NOT_FOUND", violations });
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await at(3);
    await expect(skip(2)).rejects.toMatchObject({ reason: "FIRE_TIME_DECIDED" });
  });

  test("takes at most 100 future fire times of a job", async () => {
    for (let minute = 1; minute <= 100; minute++) await skip(minute);
    await expect(skip(101)).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "nominalTime" }],
    });
  });
});

describe("the audit", () => {
  test("is refused with a time to retry when too many run", async () => {
    const slots = createAuditSlots({ slots: 0, waitMs: 1 });
    const request = create(AuditLedgerRequestSchema, { job: "payroll" });
    await expect(auditLedger(bench.parts, slots, PROJECT, request)).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
      retryAfterMs: 2,
    });
  });

  test("compares nothing when its whole range lies in the future, and refuses a start in the future without an end", async () => {
    expect(await audit(5, 9)).toMatchObject({ fireTimeCount: 0n, differences: [], auditedUntil: time(5) });
    const request = create(AuditLedgerRequestSchema, { job: "payroll", startTime: time(5) });
    await expect(auditLedger(bench.parts, createAuditSlots(), PROJECT, request)).rejects.toMatchObject({
      violations: [{ field: "startTime" }],
    });
  });

  test("reports a missing trigger, both on request and in its regular rounds", async () => {
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
