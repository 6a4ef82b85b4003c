import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createFullScan } from "../../mesh/full-scan.ts";
import { createEvents, type Events } from "../events/events.ts";
import { giveUpWaiting } from "../instances/give-up.ts";
import { createSetAside } from "../set-aside/set-aside.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { damageRowsOf } from "../testing/held.ts";
import { HELD_LIMITS } from "../waiting/held-bytes.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { createHolding } from "../waiting/holding.ts";
import { createLeftOut } from "./left-out.ts";
import { type RecoveryParts, releaseAll, sweepOwn, takeOver } from "./recovery.ts";
import { takeFromStalled } from "./stalled.ts";

let ground: Ground;
let database: Pool;
let events: Events;
let parts: RecoveryParts;
let held: HeldTrigger[];
let offsetMs = 0;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 2, applicationName: "test" });
  await damageRowsOf(ground, "job_bad");
});

beforeEach(async () => {
  offsetMs = 0;
  held = [];
  events = createEvents();
  const clock = { now: () => Date.now() + offsetMs };
  await ground.sql(`insert into dispatcher.instances (id, start_time, lease_until)
    values ('inst_me', now(), now() + interval '1 hour')`);
  parts = {
    database,
    clock,
    events,
    lease: { instance: "inst_me", isValid: () => true, renew: async () => {}, beat: async () => {} },
    holding: createHolding(HELD_LIMITS),
    leftOut: createLeftOut({ clock, setAside: createSetAside({ database, clock, events }) }),
    hold: (triggers) => held.push(...triggers),
    mayTake: () => true,
    onEnded: () => {},
  };
});

afterEach(async () => {
  await ground.sql("truncate dispatcher.triggers, dispatcher.set_aside, dispatcher.instances");
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

/** Adds triggers that are due `inMs` from now, all at the same time; `bad` of them, in the middle, are damaged. */
async function addTriggers(
  owner: string | null,
  { inMs = 0, healthy = 20, bad = 1 } = {},
): Promise<{ good: string[]; bad: string[] }> {
  const idsOf = (count: number) => Array.from({ length: count }, () => randomId("trg")).sort();
  const ids = { good: idsOf(healthy), bad: idsOf(bad) };
  const all = ids.good.toSpliced(healthy / 2, 0, ...ids.bad);
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, owner, create_time)
     select id, at, at, at, 'proj_1', case when id = any ($2) then 'job_bad' else 'job_1' end, 'job', 1, 'SCHEDULED',
       'PENDING', 1, $3, at
       from unnest($1::text[]) as id, (select to_timestamp($4::float8 / 1000) as at) as due`,
    [all, ids.bad, owner, Date.now() + inMs],
  );
  return ids;
}

const addInstance = (id: string, leaseMs: number, silentMs: number) =>
  ground.sql(
    `insert into dispatcher.instances (id, start_time, lease_until, alive_time)
     values ($1, now(), now() + $2 * interval '1 millisecond', now() - $3 * interval '1 millisecond')`,
    [id, leaseMs, silentMs],
  );

const ownedBy = async (owner: string | null) =>
  (
    await ground.sql("select id from dispatcher.triggers where owner is not distinct from $1 order by id", [
      owner,
    ])
  ).map(({ id }) => id);

const heldIds = () => held.map(({ id }) => id).sort();
const asideIds = async () =>
  (await ground.sql("select id from dispatcher.set_aside where kind = 'trigger' order by id")).map(
    ({ id }) => id,
  );

test("a trigger without an owner that cannot be taken is set aside, and the others are taken", async () => {
  const { good, bad } = await addTriggers(null);
  const aside: unknown[] = [];
  events.on("setAside", (fields) => aside.push(fields));
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(heldIds()).toEqual(good);
  expect(aside).toMatchObject([{ kind: "trigger", count: 1, ids: bad, pauseMs: 60_000 }]);
  const [row] = await ground.sql("select * from dispatcher.set_aside");
  expect(row).toMatchObject({ id: bad[0], project_id: "proj_1", job_uid: "job_bad", failures: 1 });

  // It is left alone until its next try.
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(aside).toHaveLength(1);
  offsetMs = 61_000;
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(aside).toHaveLength(2);
});

test("what a dead dispatcher owned is released and taken, without what cannot be released", async () => {
  await addInstance("inst_dead", -1, 0);
  const { good, bad } = await addTriggers("inst_dead");
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(heldIds()).toEqual(good);
  expect(await ownedBy("inst_dead")).toEqual(bad);
  expect(await asideIds()).toEqual(bad);
});

test("what a stalled dispatcher owns is taken, without what cannot be taken", async () => {
  await addInstance("inst_stalled", 60_000, 5_000);
  const { good, bad } = await addTriggers("inst_stalled");
  await ground.sql(
    "update dispatcher.instances set alive_time = now() + interval '1 min' where id = 'inst_me'",
  );
  await takeFromStalled(parts);
  expect(heldIds()).toEqual(good);
  expect(await asideIds()).toEqual(bad);
});

test("the sweep releases what was lost from memory, without what cannot be released", async () => {
  const { good, bad } = await addTriggers("inst_me", { inMs: -20_000 });
  await sweepOwn(parts, createFullScan(0));
  expect(await ownedBy(null)).toEqual(good);
  expect(await asideIds()).toEqual(bad);
});

test("a dispatcher that stops gives up and releases everything that can be", async () => {
  const later = await addTriggers("inst_me", { inMs: 9_000 });
  await giveUpWaiting(database, "inst_me", Date.now());
  expect(await ownedBy(null)).toEqual(later.good);
  const rest = await addTriggers("inst_me");
  await releaseAll(parts, "inst_me");
  expect(await ownedBy(null)).toEqual([...later.good, ...rest.good].sort());
  expect(await ownedBy("inst_me")).toEqual([...later.bad, ...rest.bad].sort());
});

test("a run sets aside 25 triggers at most, and the runs after it go on with the rest", async () => {
  const { good, bad } = await addTriggers(null, { inMs: -5_000, bad: 60 });
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(await asideIds()).toHaveLength(25);
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  await takeOver(parts, createFullScan(0), { fromMs: undefined });
  expect(await asideIds()).toEqual(bad);
  expect(heldIds()).toEqual(good);
});
