import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import type { Database } from "../../db/pool.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createCalendar } from "../calendars/change.ts";
import { deleteJob, pauseJob, resumeJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { auditJob, auditJobs } from "./audit-ledger.ts";
import { createAuditRound, ROUND_JOBS, startAuditing } from "./audit-round.ts";
import { auditClaim } from "./audits.sql.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;

let bench: SchedulerBench;
let told: { readonly kind?: string; readonly jobUid: string; readonly fireTime?: string }[];
beforeEach(async () => {
  bench = await openBench(START);
  told = [];
});
afterEach(() => bench.close());

const logger = { error: (each: never) => void told.push(each) } as never;
const round = () => createAuditRound(bench.parts, logger).run();
const at = async (minute: number) => {
  bench.setTime(START + minute * MINUTE);
  while ((await bench.tick.run()).more);
};
const createJob = (name: string, expression: string, fields: JsonObject = {}): Promise<JobRow> => {
  const target = { webhook: { url: "https://example.com/" } };
  return bench.createJob(
    fromJson(JobSchema, { name, schedules: [{ cron: { expression } }], target, ...fields }),
  );
};
const loseFirst = async (job: JobRow, minute: number) => {
  const found = (await bench.triggersOf(job.uid)).find(({ atMs }) => atMs === START + minute * MINUTE);
  await bench.lose(found?.id ?? "");
};

test("a round reports a hole in a chain however old it is, and the next round continues after it", async () => {
  const job = await createJob("often", "*/10 * * * *");
  await at(10);
  expect(await round()).toEqual({ differences: 0, jobs: 1 });
  for (let minute = 20; minute <= 400; minute += 10) await at(minute);
  await loseFirst(job, 30);
  expect(await round()).toEqual({ differences: 2, jobs: 1 });
  expect(told.map(({ kind }) => kind)).toEqual(["UNACCOUNTED", "BROKEN_CHAIN"]);
  await at(410);
  expect(await round()).toEqual({ differences: 0, jobs: 1 });
});

test("a round reports a hole in the chain of a daily job, although no audit of it covers two fire times", async () => {
  const job = await createJob("daily", "30 9 * * *");
  for (let day = 0; day < 3; day++) {
    await at(day * 1_440 + 31);
    if (day === 1) await loseFirst(job, 1_470);
    bench.setTime(START + (day * 1_440 + 35) * MINUTE);
    await round();
  }
  expect(told.map(({ kind, fireTime }) => [kind, fireTime])).toEqual([
    ["UNACCOUNTED", "2026-03-03T09:30:00.000Z"],
    ["BROKEN_CHAIN", "2026-03-04T09:30:00.000Z"],
  ]);
});

/**
 * Makes a job that its window delays by at least a minute. The delay follows from the id, which is random: it tries again,
 * on an empty database.
 */
async function createDelayedJob(): Promise<JobRow> {
  for (;;) {
    const job = await createJob("delayed", "0 * * * *", { flexibleWindow: "3500s" });
    const [nominalMs, nextMs] = [START + 60 * MINUTE, START + 120 * MINUTE];
    if (flexibleDelay(job.uid, 3_500_000, nominalMs, nextMs) >= MINUTE) return job;
    await bench.close();
    bench = await openBench(START);
  }
}

test("a round audits again what was still undecided", async () => {
  const job = await createDelayedJob();
  await at(60.1);
  expect(await round()).toMatchObject({ differences: 0, jobs: 1 });
  await at(120);
  await loseFirst(job, 60);
  await round();
  expect(told.map(({ kind }) => kind)).toContain("UNACCOUNTED");
});

test("two concurrent rounds share the jobs, and no job is audited twice in a row", async () => {
  for (let n = 0; n < 50; n++) await createJob(`job-${n}`, "0 0 1 1 *");
  bench.setTime(START + MINUTE);
  // Each round has claimed jobs before either goes on.
  const bothClaimed = Promise.withResolvers<void>();
  let claims = 0;
  const database: Database = {
    ...bench.parts.database,
    query: async (statement, values) => {
      const rows = await bench.parts.database.query(statement, values);
      if (statement.name !== auditClaim.name) return rows;
      claims += 1;
      if (claims === 2) bothClaimed.resolve();
      await bothClaimed.promise;
      return rows;
    },
  };
  const shared = () => createAuditRound({ ...bench.parts, database }, logger).run();
  const [one, other] = await Promise.all([shared(), shared()]);
  expect(one.jobs + other.jobs).toBe(50);
  expect(Math.min(one.jobs, other.jobs)).toBeGreaterThan(0);
  expect(await round()).toMatchObject({ jobs: 0 });
  expect(ROUND_JOBS).toBeGreaterThan(50);
});

test("quiet jobs are audited together, with as many statements for 25 as for one", async () => {
  const count = async () => {
    let statements = 0;
    const snapshot: Database["snapshot"] = (work) =>
      bench.parts.database.snapshot((tx) => {
        const query: Database["query"] = (statement, values) => {
          statements += 1;
          return tx.query(statement, values);
        };
        return work({ query });
      });
    const parts = { ...bench.parts, database: { ...bench.parts.database, snapshot } };
    const { jobs } = await createAuditRound(parts, logger).run();
    return { jobs, statements };
  };
  await createJob("job-0", "0 9 * * *");
  await at(1_445);
  expect(await count()).toEqual({ jobs: 1, statements: 5 });
  for (let n = 1; n < 25; n++) await createJob(`job-${n}`, "0 9 * * *");
  await at(2 * 1_445);
  // One more statement reads the triggers before those of the range.
  expect(await count()).toEqual({ jobs: 25, statements: 6 });
  expect(told).toEqual([]);
});

test("jobs that are audited together are audited as each alone is", async () => {
  const calendar = create(CalendarSchema, { name: "office", excludedDates: ["2026-03-03"] });
  await createCalendar(bench.parts, PROJECT, calendar);
  const jobs = [
    await createJob("hourly", "0 * * * *"),
    await createJob("window", "0 * * * *", { flexibleWindow: "3500s" }),
    await createJob("calendar", "0 12 * * *", { calendars: [{ name: "office", outside: "OUTSIDE_SKIP" }] }),
    await createJob("paused", "0 * * * *"),
    await createJob("quiet", "0 0 1 1 *"),
    await createJob("broken", "0 * * * *"),
  ];
  await pauseJob(bench.parts, { projectId: PROJECT, name: "paused" }, { note: "", untilMs: null });
  for (let minute = 60; minute <= 2_880; minute += 60) await at(minute);
  await bench.spoil("scheduler", "update scheduler.skips set fire_count = 2 where job_uid = $1", [
    jobs[2]?.uid,
  ]);
  const [broken] = jobs.slice(-1);
  if (broken !== undefined) await loseFirst(broken, 120);
  const nowMs = bench.parts.clock.now();
  const asked = jobs.map(({ uid }) => ({ uid, project_id: PROJECT, fromMs: START + 30 * MINUTE }));
  const together = await auditJobs(bench.parts, asked, nowMs);
  for (const job of asked)
    expect(together.get(job.uid)).toEqual(await auditJob(bench.parts, job, job.fromMs, nowMs));
  const differences = jobs.map(({ uid }) => together.get(uid)?.differences.length);
  expect(differences).toEqual([0, 0, 1, 0, 0, 2]);
});

test("a job with many epochs is audited together with others, once they are before the range", async () => {
  const job = await createJob("job", "* * * * *");
  const reference = { projectId: PROJECT, name: "job" };
  for (let minute = 1; minute <= 55; minute++) {
    await at(minute);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await resumeJob(bench.parts, reference);
  }
  await at(70);
  const audits = async (fromMs: number) =>
    (
      await auditJobs(bench.parts, [{ uid: job.uid, project_id: PROJECT, fromMs }], bench.parts.clock.now())
    ).get(job.uid);
  expect(await audits(START)).toBeUndefined();
  const fromMs = START + 50 * MINUTE;
  const alone = await auditJob(bench.parts, job, fromMs, bench.parts.clock.now());
  expect(alone).toMatchObject({ fireTimeCount: 20, differences: [] });
  expect(await audits(fromMs)).toEqual(alone);
});

test("a claim reads neither all jobs nor all audits", async () => {
  const { uid } = await createJob("job", "0 0 1 1 *");
  const admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  await copyJob(admin, uid, 4_000);
  await admin.query("analyze scheduler.jobs; analyze scheduler.audits");
  // As the product's connections are set.
  await admin.query("set plan_cache_mode = force_generic_plan");
  await admin.query(`prepare claim as ${auditClaim.text}`);
  const { rows } = await admin.query("explain execute claim (now(), now(), 20)");
  await admin.end();
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  expect(plan).toContain("audits_next");
  expect(plan).not.toContain("Seq Scan");
});

test("a round audits a deleted job up to its deletion, and then never again", async () => {
  const job = await createJob("gone", "* * * * *");
  await at(3);
  await loseFirst(job, 2);
  await deleteJob(bench.parts, { projectId: PROJECT, name: "gone" });
  bench.setTime(START + 10 * MINUTE);
  expect(await round()).toMatchObject({ differences: 2, jobs: 1 });
  bench.setTime(START + 20 * MINUTE);
  expect(await round()).toEqual({ differences: 0, jobs: 0 });
});

test("a round reports a job that it cannot audit, and audits the others", async () => {
  const bad = await createJob("bad", "* * * * *");
  const good = await createJob("good", "* * * * *");
  await at(3);
  const broken = JSON.stringify({ schedules: [{ cron: { expression: "nonsense" } }] });
  await bench.spoil("scheduler", "update scheduler.revisions set spec = $1 where job_uid = $2", [
    broken,
    bad.uid,
  ]);
  await loseFirst(good, 2);
  bench.setTime(START + 3.5 * MINUTE);
  expect(await round()).toEqual({ differences: 2, jobs: 2 });
  expect(told.filter(({ jobUid }) => jobUid === bad.uid)).toHaveLength(1);
});

test("a round reports jobs whose rows are damaged, each alone, and audits the others", async () => {
  const damages = [
    "update scheduler.jobs set carry = '[]' where uid = $1",
    "update scheduler.jobs set last_fire_time = 'infinity', next_fire_time = '-infinity' where uid = $1",
    "update scheduler.audits set audited_until = '-infinity' where job_uid = $1",
    "update scheduler.revisions set spec = '\"nonsense\"' where job_uid = $1",
    "update scheduler.epochs set after_time = '-infinity' where job_uid = $1",
  ];
  const bad: JobRow[] = [];
  for (const [index] of damages.entries()) bad.push(await createJob(`bad-${index}`, "* * * * *"));
  const good = await createJob("good", "* * * * *");
  await at(3);
  for (const [index, text] of damages.entries()) await bench.spoil("scheduler", text, [bad[index]?.uid]);
  await loseFirst(good, 2);
  bench.setTime(START + 3.5 * MINUTE);
  expect(await round()).toMatchObject({ jobs: 6 });
  const kindsOf = ({ uid }: JobRow) => told.filter(({ jobUid }) => jobUid === uid).map(({ kind }) => kind);
  expect(kindsOf(good)).toEqual(["UNACCOUNTED", "BROKEN_CHAIN"]);
  for (const job of bad) expect([job.name, kindsOf(job).length > 0]).toEqual([job.name, true]);
});

test("a round goes on after an audit that takes too long", async () => {
  for (const name of ["first", "second"]) await createJob(name, "* * * * *");
  await at(3);
  const timeout = Object.assign(
    new pg.DatabaseError("canceling statement due to statement timeout", 0, "error"),
    {
      code: "57014",
    },
  );
  let audits = 0;
  const snapshot: Database["snapshot"] = (work) => {
    audits += 1;
    // The audit of all jobs together takes too long, and so does that of the first one alone.
    if (audits > 2) return bench.parts.database.snapshot(work);
    return Promise.reject(failure("SERVICE_UNAVAILABLE", { service: "database" }, { cause: timeout }));
  };
  const parts = { ...bench.parts, database: { ...bench.parts.database, snapshot } };
  expect(await createAuditRound(parts, logger).run()).toEqual({ differences: 0, jobs: 2 });
  expect(told).toHaveLength(1);
});

test("a round stops when the database cannot be reached", async () => {
  await createJob("job", "* * * * *");
  bench.setTime(START + MINUTE);
  const snapshot = () => Promise.reject(failure("SERVICE_UNAVAILABLE", { service: "database" }));
  const parts = { ...bench.parts, database: { ...bench.parts.database, snapshot } };
  await expect(createAuditRound(parts, logger).run()).rejects.toMatchObject({
    reason: "SERVICE_UNAVAILABLE",
  });
  expect(told).toEqual([]);
});

test("auditing runs on its own until it is stopped", async () => {
  const job = await createJob("job", "* * * * *");
  await at(3);
  await loseFirst(job, 2);
  let heard = () => {};
  const first = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const auditing = startAuditing(bench.parts, { error: heard, warn: heard } as never, 1);
  await first;
  await auditing.stop();
});
