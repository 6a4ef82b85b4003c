import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool, isLockTimeout, type Pool } from "../db/pool.ts";
import { type Receiver, startReceiver } from "../test/support/receiver.ts";
import { createEvents, type OldSnapshotEvent, type PartitionLateEvent } from "./events/events.ts";
import { partitionListMissing, partitionMake } from "./housekeeping.sql.ts";
import { createPartitions, createSnapshotWatch } from "./housekeeping.ts";
import { createGround, eventOf, type Ground, untilRecorded } from "./testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  database = createPool({ connectionString: ground.databaseUrl, max: 2, applicationName: "test" });
});

afterAll(async () => {
  await database.close();
  await ground.end();
  await receiver.stop();
});

beforeEach(async () => {
  await createPartitions({ database, clock, events: createEvents() }).makeFirst();
});

const clock = { now: () => Date.now() };

const partitions = async () => {
  const rows = await ground.sql(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent in ('dispatcher.triggers'::regclass, 'dispatcher.attempts'::regclass) order by 1`,
  );
  return rows.map(({ name }) => name as string);
};

/** Drops the last month's partition of a table, as before that month was made. Returns its name. */
async function dropLast(table: string): Promise<string> {
  const last = (await partitions()).filter((name) => /\d$/.test(name) && name.startsWith(table)).at(-1) ?? "";
  await ground.sql(`drop table dispatcher.${last}`);
  return last;
}

/** Holds a transaction open that has read the triggers, as pg_dump does. */
async function holdReader(table = "triggers"): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ground.adminUrl, application_name: "a-reader" });
  client.on("error", () => {});
  await client.connect();
  await client.query("begin isolation level repeatable read");
  await client.query(`select count(*) from dispatcher.${table}`);
  return client;
}

test("five months have partitions, with the indexes and the fill factor of the others", async () => {
  const names = await partitions();
  expect(names.filter((name) => name.startsWith("triggers_"))).toHaveLength(6);
  expect(names.filter((name) => name.startsWith("attempts_"))).toHaveLength(6);
  const shapes = await ground.sql(
    `select count(*)::integer as partitions, reloptions,
            (select count(*)::integer from pg_index i where i.indrelid = any (array_agg(c.oid))) / count(*) as indexes,
            (select count(*)::integer from pg_constraint k where k.conrelid = any (array_agg(c.oid))) / count(*) as checks
       from pg_class c join pg_inherits h on h.inhrelid = c.oid
      where h.inhparent = 'dispatcher.triggers'::regclass group by reloptions`,
  );
  expect(shapes).toMatchObject([{ partitions: 6, reloptions: ["fillfactor=50"] }]);
  const defaults = await ground.sql(
    `select (select count(*)::integer from pg_index where indrelid = 'dispatcher.triggers_default'::regclass) as indexes,
            (select count(*)::integer from pg_constraint where conrelid = 'dispatcher.triggers_default'::regclass) as checks`,
  );
  expect({ indexes: Number(shapes[0]?.indexes), checks: Number(shapes[0]?.checks) }).toEqual(defaults[0]);
});

test("behind a long reader, a partition is made later, and deliveries go on meanwhile", async () => {
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, `${receiver.url}/meanwhile`);
  // Before the dispatcher starts: it would make the partition again before the reader has begun.
  const missing = await dropLast("triggers");
  const reader = await holdReader();
  const dispatcher = await ground.start();
  const events = createEvents();
  const late: PartitionLateEvent[] = [];
  events.on("partitionLate", (event) => late.push(event));
  const maker = createPartitions({ database, clock, events });
  const batch = Array.from({ length: 20 }, (_, index) => eventOf(job, Date.now() + 50 * index));
  const recorded = untilRecorded(dispatcher.events, batch);
  const accepted = dispatcher.accept(batch);
  expect(await maker.make()).toMatchObject({ againMs: 10_000 });
  expect(await maker.make()).toMatchObject({ againMs: 20_000 });
  // The dispatcher's own try may have been under way during one of these two.
  while (late.length < 2) await maker.make();
  await Promise.all([accepted, recorded]);
  expect(late.slice(0, 2)).toMatchObject([{ partition: missing }, { partition: missing }]);
  // Each try gave up its place in the queue of locks after 50 ms.
  expect(late.filter(({ error }) => !isLockTimeout(error))).toEqual([]);
  expect(await partitions()).not.toContain(missing);
  await reader.end();
  await expect.poll(() => maker.make()).toEqual({ more: false });
  expect(await partitions()).toContain(missing);
  await dispatcher.stop();
});

test("a dispatcher starts while a partition cannot be made", async () => {
  const missing = await dropLast("attempts");
  const reader = await holdReader("attempts");
  const dispatcher = await ground.start();
  expect(await partitions()).not.toContain(missing);
  await reader.end();
  await dispatcher.stop();
});

test("a partition that another process has made since it was looked for is left as it is", async () => {
  const month = new Date(Date.UTC(2031, 0)).toISOString();
  const outcome = await database.transaction(async (tx) => {
    // PostgreSQL remembers in this transaction that there is no such table.
    expect(await tx.query(partitionListMissing, [month, 1])).toHaveLength(2);
    expect(await database.query(partitionMake, ["triggers", month])).toEqual([{ outcome: "MADE" }]);
    return tx.query(partitionMake, ["triggers", month]);
  });
  expect(outcome).toEqual([{ outcome: "EXISTS" }]);
});

test("a month whose rows are in the default partition is reported once, and does not keep a dispatcher from starting", async () => {
  const own = await createGround();
  const ownDatabase = createPool({ connectionString: own.databaseUrl, max: 1, applicationName: "test" });
  const { projectId } = await own.addProject();
  const job = await own.addJob(projectId, `${receiver.url}/default`);
  const first = await own.start();
  await first.accept([eventOf(job, Date.now() + 3_600_000)]);
  await first.stop();
  // As if the month had begun without its partition.
  const [{ name } = { name: "" }] = await own.sql(
    "select 'triggers_' || to_char(max(fire_time) at time zone 'UTC', 'YYYY_MM') as name from dispatcher.triggers",
  );
  const [{ columns }] = await own.sql(
    `select string_agg(attname, ', ' order by attnum) as columns from pg_attribute
      where attrelid = 'dispatcher.${name}'::regclass and attnum > 0 and attgenerated = ''`,
  );
  // With one call: both tables of triggers agree before it and after it.
  await own.sql(
    `alter table dispatcher.triggers detach partition dispatcher.${name};
     alter table dispatcher.${name} rename to kept;
     insert into dispatcher.triggers (${columns}) select ${columns} from dispatcher.kept`,
  );
  const told: string[] = [];
  const events = createEvents();
  events.on("partitionInDefault", ({ partition }) => told.push(partition));
  let nowMs = Date.now();
  let calls = 0;
  const counting = {
    ...ownDatabase,
    transaction: <T>(work: Parameters<typeof ownDatabase.transaction<T>>[0]) => {
      calls += 1;
      return ownDatabase.transaction(work);
    },
  };
  const maker = createPartitions({ database: counting, clock: { now: () => nowMs }, events });
  await maker.makeFirst();
  expect(calls).toBe(1);
  expect(await maker.make()).toEqual({ more: false });
  expect(told).toEqual([name]);
  nowMs += 3_600_000;
  await maker.make();
  expect(told).toEqual([name, name]);
  // What docs/operations.md says.
  await own.sql(`with out as (delete from dispatcher.triggers returning *) select count(*) from out`);
  await maker.make();
  await own.sql(`insert into dispatcher.triggers (${columns}) select ${columns} from dispatcher.kept`);
  const rows = await own.sql("select tableoid::regclass::text as part from dispatcher.triggers");
  expect(rows).toEqual([{ part: `dispatcher.${name}` }]);
  expect(told).toHaveLength(2);
  await ownDatabase.close();
  await own.end();
});

test("two dispatchers that start at once on a fresh database both find the partitions of this month", async () => {
  const own = await createGround();
  const [first, second] = await Promise.all([own.start(), own.start()]);
  const rows = await own.sql(
    "select to_regclass('dispatcher.triggers_' || to_char(now(), 'YYYY_MM')) as name",
  );
  expect(rows[0]?.name).not.toBeNull();
  await Promise.all([first?.stop(), second?.stop()]);
  await own.end();
});

test("a snapshot that is held for too long is reported, and not again for five minutes", async () => {
  const events = createEvents();
  const reported: OldSnapshotEvent[] = [];
  events.on("oldSnapshot", (event) => reported.push(event));
  let nowMs = 0;
  const watch = createSnapshotWatch({ database, clock: { now: () => nowMs }, events }, 0);
  await watch();
  expect(reported.filter(({ name }) => name === "a-reader")).toEqual([]);
  nowMs += 400_000;
  reported.length = 0;
  const reader = await holdReader();
  await watch();
  nowMs += 200_000;
  await watch();
  expect(reported).toMatchObject([{ kind: "SESSION", name: "a-reader", pid: expect.any(Number) }]);
  await reader.end();
});
