import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool, type Queryable } from "../../db/pool.ts";
import { createEvents } from "../events/events.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { HELD_LIMITS } from "../waiting/held-bytes.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { createHolding } from "../waiting/holding.ts";
import type { RecoveryParts } from "./recovery.ts";
import { createStalledWatch, takeFromStalled } from "./stalled.ts";

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 2, applicationName: "test" });
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

/** Adds an instance with a valid lease whose last sign of life was `agoMs` ago. */
async function addInstance(agoMs: number): Promise<string> {
  const id = randomId("inst");
  await ground.sql(
    `insert into dispatcher.instances (id, start_time, lease_until, alive_time)
     values ($1, now(), now() + interval '1 minute', now() - $2 * interval '1 millisecond')`,
    [id, agoMs],
  );
  return id;
}

async function addTrigger(owner: string, state: string, dueInMs: number): Promise<string> {
  const id = randomId("trg");
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time)
     select $1, at, at, at, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', $3, 1, 0, $2, now(),
       case when $3 = 'RUNNING' then now() end
       from (select now() + $4 * interval '1 millisecond' as at) as due`,
    [id, owner, state, dueInMs],
  );
  return id;
}

/** Lets an instance take from the stalled ones, and returns the ids of what it then holds. */
async function takenBy(instance: string): Promise<string[]> {
  const held: HeldTrigger[] = [];
  await takeFromStalled(partsOf(instance, held));
  return held.map(({ id }) => id).sort();
}

/** What recovery needs, for an instance whose triggers come to `held`. */
function partsOf(instance: string, held: HeldTrigger[]): RecoveryParts {
  return {
    database,
    clock: { now: () => Date.now() },
    events: createEvents(),
    lease: { instance, isValid: () => true, renew: async () => {}, beat: async () => {} },
    holding: createHolding(HELD_LIMITS),
    hold: (triggers) => void held.push(...triggers),
    leftOut: { ids: () => [], add: async () => {} },
    mayTake: () => true,
    onEnded: () => {},
  };
}

test("what a stalled dispatcher owns is taken if it is due soon or overdue, and is not in flight", async () => {
  const stalled = await addInstance(5_000);
  // Not stalled, however long the statements take.
  const own = await addInstance(-60_000);
  const working = await addInstance(-60_000);
  const wanted = [
    await addTrigger(stalled, "PENDING", 800),
    await addTrigger(stalled, "PENDING", -3_000),
    await addTrigger(stalled, "RETRYING", -100),
  ];
  await addTrigger(stalled, "RUNNING", -100);
  await addTrigger(stalled, "PENDING", 60_000);
  await addTrigger(working, "PENDING", -100);
  expect(await takenBy(own)).toEqual(wanted.sort());
  const rows = await ground.sql("select id from dispatcher.triggers where owner = $1 order by id", [own]);
  expect(rows.map(({ id }) => id)).toEqual(wanted.sort());
});

test("nothing is taken by a dispatcher that has shown no sign of life itself, as when PostgreSQL is slow for all", async () => {
  const stalled = await addInstance(2_000);
  await addTrigger(stalled, "PENDING", 0);
  expect(await takenBy(await addInstance(1_500))).toEqual([]);
});

test("a dispatcher that is alone only looks for others, and takes from one that comes at its next look", async () => {
  await ground.sql("delete from dispatcher.instances");
  const own = await addInstance(0);
  const held: HeldTrigger[] = [];
  const parts = partsOf(own, held);
  const asked: string[] = [];
  const counting: Queryable["query"] = (statement, values) => {
    asked.push(statement.name);
    return database.query(statement, values);
  };
  const watch = createStalledWatch({ ...parts, database: { ...database, query: counting } }, () => 0);
  expect(await watch()).toEqual({ more: false });
  expect(asked).toEqual(["instanceHasOthers"]);
  const due = await addTrigger(await addInstance(5_000), "PENDING", 0);
  await ground.sql("update dispatcher.instances set alive_time = now() + interval '1 min' where id = $1", [
    own,
  ]);
  expect(await watch()).toMatchObject({ againMs: 150 });
  expect(held.map(({ id }) => id)).toEqual([due]);
});
