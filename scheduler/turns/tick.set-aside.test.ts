import { create } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { pauseJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { setAsideOf } from "../set-aside/set-aside.sql.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const CUSTOMER = "proj_bad";

let bench: SchedulerBench;
let good: JobRow[];
beforeEach(async () => {
  bench = await openBench(START);
  good = [];
  // Of another project, and claimed before, between and after the bad job.
  for (const name of ["first", "second", "third"]) good.push(await bench.createJob(everySecond(name)));
});
afterEach(() => bench.close());

const everySecondOf = (name: string, fields: object = {}) =>
  bench.createJob({ ...everySecond(name), ...fields }, CUSTOMER);
const spoil = (text: string, values: readonly unknown[]) => bench.spoil("scheduler", text, values);

/** A scheduler that has compiled nothing yet, with what it reports. */
function fresh() {
  const reported: { readonly jobUid: string; readonly failures: number; readonly retryTimeMs: number }[] = [];
  const parts = { ...bench.parts, schedules: createScheduleCache(100, bench.parts.zoneData) };
  const tick = createTick({
    ...parts,
    onTrouble: (jobUid, _, { failures, retryTimeMs }) =>
      void reported.push({ jobUid, failures, retryTimeMs }),
    onMissed: () => {},
  });
  return { parts, tick, reported };
}

const handedOver = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / 1_000);
const setAsideRow = async (job: JobRow) =>
  (await bench.parts.database.query(setAsideOf, ["job", [job.uid]]))[0];

/** Expects that one tick hands over the fire times of the good jobs, and sets the bad job aside. */
async function expectAside(bad: JobRow, seconds: number, problem: RegExp): Promise<void> {
  const { tick, reported } = fresh();
  bench.setTime(START + seconds * 1_000);
  const { events } = await tick.run();
  for (const job of good) expect(await handedOver(job)).toContain(seconds + 5);
  expect(events).toBeGreaterThan(0);
  expect(reported).toEqual([{ jobUid: bad.uid, failures: 1, retryTimeMs: START + seconds * 1_000 + MINUTE }]);
  expect(await setAsideRow(bad)).toMatchObject({ failures: 1, problem: expect.stringMatching(problem) });
  await tick.run();
  await fresh().tick.run();
  expect(reported).toHaveLength(1);
  expect((await setAsideRow(bad))?.failures).toBe(1);
}

describe("a job is set aside, and the jobs of another project are handed over in the same tick,", () => {
  test("when its specification is not that of a job", async () => {
    const bad = await everySecondOf("bad");
    await spoil("update scheduler.revisions set spec = '\"nonsense\"'::json where job_uid = $1", [bad.uid]);
    await expectAside(bad, 1, /specification cannot be read/);
  });

  test("when its specification holds a schedule that is not one", async () => {
    const bad = await everySecondOf("bad");
    await spoil(
      `update scheduler.revisions set spec = '{"schedules": [{"cron": {"expression": "soon"}}]}' where job_uid = $1`,
      [bad.uid],
    );
    await expectAside(bad, 1, /specification cannot be used: .*soon/);
  });

  test("when its revision is missing", async () => {
    const bad = await everySecondOf("bad");
    await spoil("update scheduler.jobs set revision = 99 where uid = $1", [bad.uid]);
    await expectAside(bad, 1, /specification cannot be read/);
  });

  for (const carry of [
    "null",
    "[]",
    '{"waiting": "soon"}',
    '{"waiting": [1e300]}',
    '{"run": {"firstMs": 1}}',
  ]) {
    test(`when its carry is ${carry}`, async () => {
      const bad = await everySecondOf("bad");
      await spoil("update scheduler.jobs set carry = $2::jsonb where uid = $1", [bad.uid, carry]);
      await expectAside(bad, 1, /has stored about the job's fire times cannot be read/);
    });
  }

  test("when a time of it is beyond all dates", async () => {
    const bad = await everySecondOf("bad");
    await spoil("update scheduler.jobs set last_fire_time = 'infinity' where uid = $1", [bad.uid]);
    await expectAside(bad, 1, /has stored about the job's fire times cannot be read/);
  });

  test("when a dispatcher refuses an event of it", async () => {
    const bad = await everySecondOf("bad");
    await spoil("update scheduler.jobs set last_seq = 2147483647 where uid = $1", [bad.uid]);
    await expectAside(bad, 1, /trigger of the job cannot be recorded/);
    expect(await handedOver(bad)).toEqual([]);
  });

  test("when PostgreSQL refuses what its turn writes", async () => {
    const bad = await everySecondOf("bad", { overlapPolicy: OverlapPolicy.SKIP });
    for (const second of [1, 2]) {
      bench.setTime(START + second * 1_000);
      await bench.tick.run();
    }
    await spoil("update scheduler.skips set fire_count = 2147483647 where job_uid = $1", [bad.uid]);
    await expectAside(bad, 3, /fire times cannot be decided or recorded/);
  });

  test("when PostgreSQL refuses the end of its pause", async () => {
    const bad = await everySecondOf("bad");
    const pause = { note: "", untilMs: START + 4_000 };
    await pauseJob(bench.parts, { projectId: CUSTOMER, name: "bad" }, pause);
    await spoil(
      `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time, note)
       values ($1, 3, 'ACTIVE', 1, now(), now(), '')`,
      [bad.uid],
    );
    await expectAside(bad, 1, /fire times cannot be decided or recorded/);
  });

  test("when its calendar cannot be read", async () => {
    const windows = [{ days: ["MONDAY"], start: "00:00", end: "24:00" }];
    const calendar = create(CalendarSchema, { name: "office", timeZone: "UTC", windows });
    await createCalendar(bench.parts, CUSTOMER, calendar);
    const bad = await everySecondOf("bad", { calendars: [{ name: "office" }] });
    await spoil(
      `insert into scheduler.calendar_versions (calendar_uid, version, spec, create_time, zone_data)
       select calendar_uid, 2, '"nonsense"', create_time, zone_data from scheduler.calendar_versions`,
      [],
    );
    await spoil("update scheduler.calendars set version = 2", []);
    await expectAside(bad, 1, /calendar of the job does not exist or cannot be read/);
  });
});

describe("a job that is set aside", () => {
  const damage = (uid: string) => spoil("update scheduler.jobs set carry = '[]' where uid = $1", [uid]);

  test("is tried again after a minute, then after twice that time each, at most an hour", async () => {
    const bad = await everySecondOf("bad");
    await damage(bad.uid);
    const pauses: number[] = [];
    for (let nowMs = START + 1_000, n = 0; n < 9; n++) {
      const { tick, reported } = fresh();
      bench.setTime(nowMs);
      await tick.run();
      const retryTimeMs = reported[0]?.retryTimeMs ?? nowMs;
      pauses.push((retryTimeMs - nowMs) / MINUTE);
      bench.setTime(retryTimeMs - 1);
      await tick.run();
      expect(reported).toHaveLength(1);
      nowMs = retryTimeMs;
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test("goes on where it was when it works again, and is forgotten", async () => {
    const bad = await everySecondOf("bad");
    await damage(bad.uid);
    const { tick, reported } = fresh();
    bench.setTime(START + 1_000);
    await tick.run();
    await spoil("update scheduler.jobs set carry = '{}' where uid = $1", [bad.uid]);
    bench.setTime(START + 60_000);
    await tick.run();
    expect(await handedOver(bad)).toEqual([]);
    bench.setTime(START + 61_000);
    while ((await tick.run()).more);
    expect((await handedOver(bad)).slice(0, 2)).toEqual([1, 2]);
    expect(reported).toHaveLength(1);
    expect(await setAsideRow(bad)).toBeUndefined();
  });

  test("is tried at once when it has been changed", async () => {
    const bad = await everySecondOf("bad");
    await spoil("update scheduler.revisions set spec = '{\"schedules\": [{}]}' where job_uid = $1", [
      bad.uid,
    ]);
    const { parts, tick } = fresh();
    bench.setTime(START + 1_000);
    await tick.run();
    bench.setTime(START + 2_000);
    const request = create(UpdateJobRequestSchema, {
      job: everySecond("bad"),
      updateMask: { paths: ["schedules", "target"] },
    });
    await updateJob(parts, CUSTOMER, request);
    bench.setTime(START + 2_250);
    await tick.run();
    expect(await handedOver(bad)).toContain(3);
    expect(await setAsideRow(bad)).toBeUndefined();
  });

  test("costs other jobs nothing, however many there are", async () => {
    for (let n = 0; n < 30; n++) await damage((await everySecondOf(`bad-${n}`)).uid);
    const { tick, reported } = fresh();
    bench.setTime(START + 1_000);
    await tick.run();
    expect(reported).toHaveLength(30);
    bench.setTime(START + 62_000);
    // The good jobs are late; the bad ones have a pass of their own, a few at a time.
    expect(await tick.run()).toMatchObject({ more: true });
    for (const job of good) expect(await handedOver(job)).toContain(67);
    expect(reported).toHaveLength(40);
  });
});

test("a tick sets aside a part of the jobs that fail only when they are written, and the next tick goes on", async () => {
  for (let n = 0; n < 30; n++) {
    const { uid } = await everySecondOf(`bad-${n}`);
    await pauseJob(
      bench.parts,
      { projectId: CUSTOMER, name: `bad-${n}` },
      { note: "", untilMs: START + 4_000 },
    );
    await spoil(
      `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time, note)
       values ($1, 3, 'ACTIVE', 1, now(), now(), '')`,
      [uid],
    );
  }
  const { tick, reported } = fresh();
  bench.setTime(START + 1_000);
  expect(await tick.run()).toMatchObject({ more: true });
  expect(reported).toHaveLength(25);
  await tick.run();
  expect(reported).toHaveLength(30);
  for (const job of good) expect(await handedOver(job)).toContain(6);
});

describe("a row that PostgreSQL cannot read", () => {
  // As if the part of the row that a claim reads besides the keys were damaged.
  const exec = async (text: string) => {
    const client = new pg.Client({ connectionString: bench.adminUrl });
    await client.connect();
    await client.query(text);
    await client.end();
  };
  afterEach(async () => {
    await exec("alter table scheduler.jobs disable row level security");
    await exec("drop policy if exists guard on scheduler.jobs");
    await exec("drop function if exists public.read_or_throw");
  });

  test("fails the claim, and its job alone is set aside", async () => {
    const bad = await everySecondOf("bad");
    // PostgreSQL asks the policy also about rows that the statement leaves out because they are set aside.
    await exec(`create function public.read_or_throw(of_uid text) returns boolean language plpgsql as $$ begin
      if of_uid = '${bad.uid}' and current_query() like '%j.carry%'
         and not (current_query() like '%not in%' and exists (select from scheduler.set_aside where id = of_uid)) then
        raise 'the row % is damaged', of_uid using errcode = 'data_corrupted';
      end if;
      return true;
    end $$`);
    await exec(`create policy guard on scheduler.jobs to easycron_scheduler
      using (public.read_or_throw(uid)) with check (true)`);
    await exec("alter table scheduler.jobs enable row level security");
    await expectAside(bad, 1, /fire times cannot be decided or recorded/);
    bench.setTime(START + 62_000);
    const { tick, reported } = fresh();
    await tick.run();
    for (const job of good) expect(await handedOver(job)).toContain(67);
    expect(reported).toMatchObject([{ jobUid: bad.uid, failures: 2 }]);
  });
});

test("a tick that cannot reach a dispatcher sets nothing aside", async () => {
  const { tick, reported } = fresh();
  bench.setTime(START + 1_000);
  bench.setDispatcherDown(true);
  await expect(tick.run()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  expect(reported).toEqual([]);
});
