import { create } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { Outside } from "../../gen/easycron/v1/job_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { calendarsToSettle } from "../calendars/calendars.sql.ts";
import { createCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { pauseJob } from "../changes/pause-job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { beginPass, stepPass } from "./calendar-pass.ts";
import { createCalendarSettler, settleCalendar } from "./calendars-settle.ts";
import type { FailedJob, SettleParts } from "./job-set.ts";

const START = Date.UTC(2026, 2, 1, 9);
const HOUR_MS = 3_600_000;

let bench: SchedulerBench;
let admin: pg.Client;
beforeEach(async () => {
  bench = await openBench(START);
  admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "office" }));
});
afterEach(async () => {
  await admin.end();
  await bench.close();
});

/** Makes jobs that refer to the calendar, and returns the uid of the first. */
async function makeJobs(count: number): Promise<string> {
  const { uid } = await bench.createJob({
    name: "job-0",
    schedules: [{ kind: { case: "cron", value: { expression: "0 12 * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    calendars: [{ name: "office", outside: Outside.SKIP }],
  });
  await copyJob(admin, uid, count - 1);
  return uid;
}

/** Changes the calendar, and settles for `settleMs`. */
const exclude = (date: string, settleMs: number, parts = bench.parts) =>
  updateAndSettleCalendar(
    parts,
    PROJECT,
    create(UpdateCalendarRequestSchema, { calendar: { name: "office", excludedDates: [date] } }),
    settleMs,
  );
/** How many epochs each job has: the number of jobs by the number of their epochs. */
async function epochs(): Promise<Record<string, number>> {
  const { rows } = await admin.query(
    `select epochs, count(*)::integer as jobs
       from (select count(*)::integer as epochs from scheduler.epochs group by job_uid) as counted group by epochs`,
  );
  return Object.fromEntries(rows.map(({ epochs: count, jobs }) => [count, jobs]));
}
const unsettled = async () =>
  (await bench.parts.database.query(calendarsToSettle, ["infinity", "", 100])).length;
const settle = async (parts: SettleParts = bench.parts) => {
  const failed: FailedJob[] = [];
  const settler = createCalendarSettler(parts, (_, jobs) => failed.push(...jobs));
  while ((await settler.round()).more);
  return failed;
};

/** Parts whose transactions are watched: `onTransaction` gets the number of epochs that each has added. */
function watched(onTransaction: (epochsAdded: number) => void): typeof bench.parts {
  const { database } = bench.parts;
  const watching: Database = {
    ...database,
    transaction: (work) =>
      database.transaction(async (tx) => {
        let added = 0;
        const value = await work({
          query: async (statement, values) => {
            const rows = await tx.query(statement, values);
            if (statement.name === "epochsInsert") added += rows.length;
            return rows;
          },
        });
        onTransaction(added);
        return value;
      }),
  };
  return { ...bench.parts, database: watching };
}

test("1,000 jobs are settled once each, at most 400 in a transaction, although two schedulers and two calls do it at once", async () => {
  await makeJobs(1_000);
  const { uid } = await exclude("2027-12-25", 0);
  expect(await epochs()).toEqual({ 1: 1_000 });
  const sizes: number[] = [];
  const parts = watched((added) => sizes.push(added));
  const calls = [settleCalendar(parts, uid, 60_000), settleCalendar(parts, uid, 60_000)];
  await Promise.all([...calls, settle(parts), settle(parts)]);
  await settle(parts);
  expect(await epochs()).toEqual({ 2: 1_000 });
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(1_000);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(400);
  expect(await unsettled()).toBe(0);
});

test("a set of many jobs takes as many statements as a set of one", async () => {
  const count = async () => {
    let statements = 0;
    const { database } = bench.parts;
    const counting: Database = {
      ...database,
      transaction: (work) =>
        database.transaction((tx) => {
          const query: Database["query"] = (statement, values) => {
            statements += 1;
            return tx.query(statement, values);
          };
          return work({ query });
        }),
    };
    const pass = beginPass(calendar);
    expect(await stepPass({ ...bench.parts, database: counting }, pass)).toBe("MORE");
    return { settled: pass.settled, statements };
  };
  const uid = await makeJobs(1);
  const { uid: calendar } = await exclude("2027-12-25", 0);
  const one = await count();
  await copyJob(admin, uid, 49);
  await exclude("2027-12-26", 0);
  const many = await count();
  // On a slow machine the set may be smaller than it is allowed to be.
  expect(one.settled).toBe(1);
  expect(many.settled).toBeGreaterThan(1);
  expect(many.statements).toBe(one.statements);
});

test("a pass counts only jobs that needed a change, so the tick is not woken for others", async () => {
  await makeJobs(3);
  const { rows } = await admin.query("select name from scheduler.jobs order by name limit 2");
  for (const { name } of rows) {
    await pauseJob(bench.parts, { projectId: PROJECT, name }, { note: "", untilMs: null });
  }
  const { uid: calendar } = await exclude("2027-12-25", 0);
  const pass = beginPass(calendar);
  expect(await stepPass(bench.parts, pass)).toBe("MORE");
  expect(pass.settled).toBe(1);
});

test("jobs that have been due for long are settled a few at a time, and their triggers are handed over first", async () => {
  await makeJobs(60);
  await exclude("2027-12-25", 0);
  bench.setTime(START + 4 * HOUR_MS);
  const sizes: number[] = [];
  await settle(watched((added) => sizes.push(added)));
  expect(await epochs()).toEqual({ 2: 60 });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
  expect(await bench.triggersOf("job_copy000001")).toMatchObject([{ atMs: START + 3 * HOUR_MS }]);
});

test("a call settles for a limited time, and the background does the rest, each job once", async () => {
  await makeJobs(250);
  await exclude("2027-12-25", 1);
  const before = await epochs();
  expect(before[2] ?? 0).toBeLessThan(250);
  expect(await unsettled()).toBe(1);
  await settle();
  expect(await epochs()).toEqual({ 2: 250 });
  expect(await unsettled()).toBe(0);
});

test("a pass that ends midway is resumed where it was", async () => {
  await makeJobs(250);
  await exclude("2027-12-25", 0);
  let transactions = 0;
  const dying = watched(() => {
    transactions += 1;
    if (transactions > 1) throw failure("SERVICE_UNAVAILABLE", { service: "database" });
  });
  await expect(settle(dying)).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  const done = (await epochs())[2] ?? 0;
  expect(done).toBeGreaterThan(0);
  expect(done).toBeLessThan(250);
  await settle();
  expect(await epochs()).toEqual({ 2: 250 });
});

test("jobs that cannot be settled or are locked do not stop the others, and are settled later", async () => {
  await makeJobs(150);
  await exclude("2027-12-25", 0);
  const [broken, locked] = ["job_copy000042", "job_copy000123"];
  const { rows } = await admin.query("select carry from scheduler.jobs where uid = $1", [broken]);
  await admin.query("update scheduler.jobs set carry = $2 where uid = $1", [broken, { waiting: 7 }]);
  const holder = new pg.Client({ connectionString: bench.adminUrl });
  await holder.connect();
  await holder.query("begin");
  await holder.query("select from scheduler.jobs where uid = $1 for no key update", [locked]);
  const failed = await settle();
  expect(failed.map(({ jobUid }) => jobUid)).toEqual([broken]);
  expect(await epochs()).toEqual({ 1: 2, 2: 148 });
  await holder.query("rollback");
  await holder.end();
  await admin.query("update scheduler.jobs set carry = $2 where uid = $1", [broken, rows[0].carry]);
  expect(await settle()).toEqual([]);
  expect(await epochs()).toEqual({ 1: 2, 2: 148 });
  bench.setTime(START + 60_000);
  await settle();
  expect(await epochs()).toEqual({ 2: 150 });
  expect(await unsettled()).toBe(0);
});

test("a calendar whose jobs cannot be settled does not stop another calendar", async () => {
  await makeJobs(1);
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "zoo" }));
  await bench.createJob({
    name: "zoo-job",
    schedules: [{ kind: { case: "cron", value: { expression: "0 12 * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    calendars: [{ name: "zoo", outside: Outside.SKIP }],
  });
  await exclude("2027-12-25", 0);
  const request = create(UpdateCalendarRequestSchema, {
    calendar: { name: "zoo", excludedDates: ["2027-12-25"] },
  });
  await updateAndSettleCalendar(bench.parts, PROJECT, request, 0);
  await admin.query("update scheduler.jobs set carry = $1 where name = 'job-0'", [{ waiting: 7 }]);
  expect((await settle()).length).toBe(1);
  expect(await epochs()).toEqual({ 1: 1, 2: 1 });
});
