import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, isLockTimeout, type Pool } from "../../db/pool.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { createEvents } from "../events/events.ts";
import { createPartitions } from "../housekeeping.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  type TestJob,
} from "../testing/ground.ts";
import { createRetention } from "./retention.ts";

let ground: Ground;
let database: Pool;
let dispatcher: TestDispatcher;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 3, applicationName: "test" });
  dispatcher = await ground.start();
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.now();

/** A job in a project of its own. */
async function addJob(days?: number): Promise<TestJob> {
  const { projectId } = await ground.addProject();
  if (days !== undefined)
    await ground.sql("insert into dispatcher.retention (project_id, days) values ($1, $2)", [
      projectId,
      days,
    ]);
  return ground.addJob(projectId, "http://127.0.0.1:1/");
}

/** Records an ended trigger with one attempt, as it would be after it was delivered at `endMs`. */
async function addEnded(
  job: TestJob,
  atMs: number,
  state = "SUCCEEDED",
  endMs = atMs + 1_000,
): Promise<string> {
  const id = randomId("trg");
  const [at, end] = [new Date(atMs).toISOString(), new Date(endMs).toISOString()];
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision, kind,
       state, seq, create_time, start_time, end_time)
     values ($1, $2, $2, $2, $3, $4, $5, 1, 'SCHEDULED', $6, 1, $2, $2, $7)`,
    [id, at, job.projectId, job.uid, job.name, state, state === "RETRYING" ? null : end],
  );
  await ground.sql(
    `insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms)
     values ($1, $2, 1, $3, 'REJECTED', $2, 10)`,
    [id, at, randomId("att")],
  );
  return id;
}

async function leftOf(job: TestJob): Promise<string[]> {
  const rows = await ground.sql("select id from dispatcher.triggers where job_uid = $1 order by fire_time", [
    job.uid,
  ]);
  return rows.map(({ id }) => id);
}

async function floorOf(job: TestJob): Promise<number | undefined> {
  const [row] = await ground.sql("select floor_time from dispatcher.retention where project_id = $1", [
    job.projectId,
  ]);
  return row?.floor_time.getTime?.();
}

function retentionAt(nowMs: number, { graceMs = 0, events = createEvents() } = {}) {
  return createRetention({ database, clock: { now: () => nowMs }, events, mayGoOn: () => true, graceMs });
}

const hourOf = (ms: number) => ms - (ms % HOUR_MS);

test("a trigger and its attempts are removed when both its fire time and its end are older than the days", async () => {
  const job = await addJob(10);
  const old = await addEnded(job, NOW - 11 * DAY_MS);
  const endedLate = await addEnded(job, NOW - 11 * DAY_MS + 1, "SUCCEEDED", NOW - 9 * DAY_MS);
  const young = await addEnded(job, NOW - 9 * DAY_MS);
  await retentionAt(NOW)();
  expect(await leftOf(job)).toEqual([endedLate, young]);
  expect(await floorOf(job)).toBe(hourOf(NOW - 10 * DAY_MS));
  const attempts = await ground.sql(
    "select trigger_id from dispatcher.attempts where trigger_id = any ($1) order by fire_time",
    [[old, endedLate, young]],
  );
  expect(attempts.map(({ trigger_id: id }) => id)).toEqual([endedLate, young]);
});

test("without a setting a project keeps 30 days, and nothing of another project is removed with it", async () => {
  const [usual, long] = [await addJob(), await addJob(60)];
  await addEnded(usual, NOW - 31 * DAY_MS);
  const kept = [await addEnded(usual, NOW - 29 * DAY_MS)];
  const others = [await addEnded(long, NOW - 59 * DAY_MS), await addEnded(long, NOW - 31 * DAY_MS)];
  await retentionAt(NOW)();
  expect(await leftOf(usual)).toEqual(kept);
  expect(await leftOf(long)).toEqual(others);
  expect(await floorOf(long)).not.toBe(hourOf(NOW - 60 * DAY_MS));
});

test("a dead letter is kept for twice the days, and what has not ended for ever", async () => {
  const job = await addJob(10);
  await addEnded(job, NOW - 22 * DAY_MS, "EXHAUSTED");
  const live = await addEnded(job, NOW - 21 * DAY_MS, "RETRYING");
  const dead = await addEnded(job, NOW - 19 * DAY_MS, "EXHAUSTED");
  await addEnded(job, NOW - 18 * DAY_MS, "CANCELLED");
  await retentionAt(NOW)();
  expect(await leftOf(job)).toEqual([live, dead]);
  // It is over: the product would go on trying it.
  await ground.sql("update dispatcher.triggers set state = 'SUCCEEDED', end_time = now() where id = $1", [
    live,
  ]);
});

test("the floor does not move back when a project keeps more days", async () => {
  const job = await addJob(10);
  await addEnded(job, NOW - 11 * DAY_MS);
  await retentionAt(NOW)();
  await ground.sql("update dispatcher.retention set days = 100 where project_id = $1", [job.projectId]);
  await addEnded(job, NOW - 9 * DAY_MS);
  await retentionAt(NOW)();
  expect(await floorOf(job)).toBe(hourOf(NOW - 10 * DAY_MS));
});

test("the floor stays before a fire time that the scheduler has still to decide", async () => {
  const waitingMs = NOW - 15 * DAY_MS;
  const changes: [string, string][] = [
    ["next_fire_time = $2::timestamptz", new Date(waitingMs).toISOString()],
    ["carry = jsonb_build_object('waiting', jsonb_build_array($2::bigint, 9999999999999))", `${waitingMs}`],
    ["state = 'PAUSED', pause_until = $2::timestamptz", new Date(waitingMs).toISOString()],
  ];
  for (const [change, value] of changes) {
    const job = await addJob(10);
    await ground.sql(`update scheduler.jobs set ${change} where uid = $1`, [job.uid, value]);
    await addEnded(job, NOW - 16 * DAY_MS);
    const kept = await addEnded(job, NOW - 14 * DAY_MS);
    await retentionAt(NOW)();
    expect(await leftOf(job)).toEqual([kept]);
    expect(await floorOf(job)).toBe(waitingMs);
  }
});

test("an event from before the floor is refused, whether its trigger was removed or never was", async () => {
  const job = await addJob(10);
  const id = await addEnded(job, NOW - 11 * DAY_MS);
  await retentionAt(NOW)();
  const again = eventOf(job, NOW - 11 * DAY_MS, { triggerId: id, kind: TriggerKind.BACKFILL });
  const never = eventOf(job, NOW - 12 * DAY_MS, { kind: TriggerKind.CATCHUP });
  const later = eventOf(job, NOW + DAY_MS);
  const answer = await dispatcher.accept([again, later, never]);
  expect(answer).toMatchObject({ recorded: 1, postponed: [] });
  expect(answer.refused.map(({ triggerId }) => triggerId).sort()).toEqual([id, never.triggerId].sort());
  expect(answer.refused[0]?.problem).toMatch(/before the floor of its project/);
  expect(await leftOf(job)).toEqual([later.triggerId]);
});

test("an event from before the floor whose trigger is still there counts as recorded", async () => {
  const job = await addJob(10);
  const id = await addEnded(job, NOW - 15 * DAY_MS, "EXHAUSTED");
  await retentionAt(NOW)();
  expect(await dispatcher.accept([eventOf(job, NOW - 15 * DAY_MS, { triggerId: id })])).toMatchObject({
    recorded: 0,
    refused: [],
    postponed: [],
  });
});

test("nothing is removed before every statement knows the floor", async () => {
  const job = await addJob(10);
  const id = await addEnded(job, NOW - 11 * DAY_MS);
  const earlier = await addEnded(job, NOW - 13 * DAY_MS);
  const between = await addEnded(job, NOW - 10 * DAY_MS + HOUR_MS);
  expect(await retentionAt(NOW, { graceMs: 60_000 })()).toEqual({ more: false, againMs: 65_000 });
  expect(await leftOf(job)).toEqual([earlier, id, between]);
  // A minute later, by PostgreSQL's clock.
  const age = "update dispatcher.retention set set_time = now() - interval '61 s' where project_id = $1";
  await ground.sql(age, [job.projectId]);
  await retentionAt(NOW + 2 * HOUR_MS, { graceMs: 60_000 })();
  // The floor has moved on, but only the one before it is known to everybody.
  expect(await leftOf(job)).toEqual([between]);
  expect(await floorOf(job)).toBe(hourOf(NOW + 2 * HOUR_MS - 10 * DAY_MS));
});

test("a row that another transaction has locked is left out, and removed by a later round", async () => {
  const job = await addJob(10);
  const locked = await addEnded(job, NOW - 11 * DAY_MS);
  await addEnded(job, NOW - 12 * DAY_MS);
  await ground.whileHeld(
    "select from dispatcher.triggers where id = $1 for update",
    [locked],
    retentionAt(NOW),
  );
  expect(await leftOf(job)).toEqual([locked]);
  await retentionAt(NOW)();
  expect(await leftOf(job)).toEqual([]);
});

test("more triggers than one statement looks at are removed in one round", async () => {
  const job = await addJob(10);
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision, kind,
       state, seq, create_time, start_time, end_time)
     select 'trg_' || lpad(n::text, 26, '0'), at, at, at, $1, $2, 'job', 1, 'SCHEDULED', 'SUCCEEDED', n, at, at, at
       from generate_series(1, 2500) as n cross join lateral (select $3::timestamptz + n / 100 * interval '1 s' as at) as t`,
    [job.projectId, job.uid, new Date(NOW - 20 * DAY_MS).toISOString()],
  );
  const events = createEvents();
  const told: number[] = [];
  events.on("triggersRemoved", ({ projectId, removed }) => projectId === job.projectId && told.push(removed));
  expect(await retentionAt(NOW, { events })()).toMatchObject({ more: false });
  expect(await leftOf(job)).toEqual([]);
  expect(told).toEqual([2_500]);
});

test("several dispatchers that remove at once remove everything once", async () => {
  const job = await addJob(10);
  for (let day = 11; day < 31; day++) await addEnded(job, NOW - day * DAY_MS);
  const kept = await addEnded(job, NOW - DAY_MS);
  await Promise.all([retentionAt(NOW)(), retentionAt(NOW)(), retentionAt(NOW)()]);
  await retentionAt(NOW)();
  expect(await leftOf(job)).toEqual([kept]);
});

/** The start of a month in UTC, in epoch milliseconds. */
const monthOf = (ms: number) => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth());

async function makeMonth(startMs: number): Promise<string> {
  for (const table of ["triggers", "attempts"])
    await ground.sql("select dispatcher.make_partition($1, $2)", [table, new Date(startMs).toISOString()]);
  return `triggers_${new Date(startMs).toISOString().slice(0, 7).replace("-", "_")}`;
}

async function exists(name: string): Promise<boolean> {
  const [row] = await ground.sql("select to_regclass('dispatcher.' || $1) is not null as found", [name]);
  return row.found;
}

test("a month in which nothing is kept is dropped whole, and one with a dead letter or a live trigger is not", async () => {
  const startMs = monthOf(NOW - 100 * DAY_MS);
  const name = await makeMonth(startMs);
  const job = await addJob(40);
  await addEnded(job, startMs + DAY_MS);
  const dead = await addEnded(job, startMs + 2 * DAY_MS, "EXHAUSTED", NOW - DAY_MS);
  await retentionAt(NOW)();
  expect(await leftOf(job)).toEqual([dead]);
  expect(await exists(name)).toBe(true);
  await ground.sql("update dispatcher.triggers set state = 'RETRYING', end_time = null where id = $1", [
    dead,
  ]);
  await retentionAt(NOW)();
  expect(await exists(name)).toBe(true);
  await ground.sql(
    "update dispatcher.triggers set state = 'SUCCEEDED', end_time = fire_time + interval '1 s' where id = $1",
    [dead],
  );
  const events = createEvents();
  const told: string[] = [];
  events.on("partitionDropped", ({ partition }) => told.push(partition));
  await retentionAt(NOW, { events })();
  // The rows went with the partition.
  expect(told).toEqual([name]);
  expect(await exists(name)).toBe(false);
  expect(await exists(name.replace("triggers", "attempts"))).toBe(false);
  expect(await leftOf(job)).toEqual([]);
});

test("the months that are made ahead are never dropped", async () => {
  const events = createEvents();
  const told: string[] = [];
  events.on("partitionDropped", ({ partition }) => told.push(partition));
  await createPartitions({ database, clock: { now: () => NOW }, events }).makeFirst();
  await retentionAt(NOW, { events })();
  const made = createEvents();
  made.on("partitionMade", ({ partition }) => told.push(partition));
  await createPartitions({ database, clock: { now: () => NOW }, events: made }).make();
  expect(told).toEqual([]);
});

test("behind a long reader a month is dropped later, and nobody waits longer than for three tries of 50 ms", async () => {
  const startMs = monthOf(NOW - 130 * DAY_MS);
  const name = await makeMonth(startMs);
  const job = await addJob(40);
  await addEnded(job, startMs + DAY_MS);
  await retentionAt(NOW)();
  expect(await exists(name)).toBe(false);
  await makeMonth(startMs);
  const reader = new pg.Client({ connectionString: ground.adminUrl });
  await reader.connect();
  await reader.query("begin isolation level repeatable read");
  await reader.query("select count(*) from dispatcher.triggers");
  const events = createEvents();
  const errors: unknown[] = [];
  events.on("partitionKept", ({ error }) => errors.push(error));
  const retention = retentionAt(NOW, { events });
  const [wanted, answer] = await Promise.all([retention(), dispatcher.accept([eventOf(job, NOW + DAY_MS)])]);
  expect(answer).toMatchObject({ recorded: 1 });
  expect(errors).toHaveLength(1);
  expect(isLockTimeout(errors[0])).toBe(true);
  expect(wanted).toEqual({ more: false, againMs: 10_000 });
  expect(await exists(name)).toBe(true);
  await reader.end();
  await retentionAt(NOW + 20_000)();
  expect(await exists(name)).toBe(false);
});

test("an old event is postponed while a month is being dropped", async () => {
  const job = await addJob();
  const lock = "select pg_advisory_xact_lock(hashtext('dispatcher.drop_partition'))";
  const [old, soon] = [eventOf(job, NOW - 2 * DAY_MS), eventOf(job, NOW + DAY_MS)];
  const answer = await ground.whileHeld(lock, [], () => dispatcher.accept([old, soon]));
  expect(answer).toMatchObject({ recorded: 1, refused: [], postponed: [old.triggerId] });
  await ground.sql("delete from dispatcher.triggers where id = $1", [soon.triggerId]);
});
