import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool, type Database, type Pool } from "../../db/pool.ts";
import { createEvents } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { createGround, type Ground, type TestJob } from "../testing/ground.ts";
import { heldTrigger } from "../testing/held.ts";
import { HELD_LIMITS } from "../waiting/held-bytes.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { createHolding, type Holding } from "../waiting/holding.ts";
import { HORIZON_MS } from "../waiting/horizon.ts";
import { triggerReadUnclaimed } from "../waiting/triggers.sql.ts";
import { createWaits, type Waits } from "./waits.ts";

const OWNER = "inst_00000000-0000-0000-0000-000000000001";

let ground: Ground;
let pool: Pool;
let job: TestJob;
let holding: Holding;
let waits: Waits;
let again: HeldTrigger[];
/** How far the clock of the dispatcher is ahead. */
let aheadMs: number;
/** Called before each statement that reads what could not be put off. */
let beforeRead: () => void;

beforeAll(async () => {
  ground = await createGround();
  pool = createPool({ connectionString: ground.databaseUrl, max: 2, applicationName: "test" });
  await ground.sql("insert into dispatcher.instances values ($1, now(), now() + interval '1 hour')", [OWNER]);
});
afterAll(async () => {
  await pool.close();
  await ground.end();
});
beforeEach(async () => {
  job = await ground.addJob((await ground.addProject()).projectId, "http://127.0.0.1:1/");
  holding = createHolding(HELD_LIMITS);
  again = [];
  aheadMs = 0;
  beforeRead = () => {};
  const database: Database = {
    ...pool,
    query: async (statement, values) => {
      if (statement.name === triggerReadUnclaimed.name) beforeRead();
      return await pool.query(statement, values);
    },
  };
  waits = createWaits({
    database,
    clock: { now: () => Date.now() + aheadMs },
    events: createEvents(),
    lease: { instance: OWNER } as Lease,
    holding,
    waitUntil: (trigger) => void again.push(trigger),
  });
});

/** A trigger that is due, held, and owned by the instance. */
async function addTrigger(since: Date | null = null): Promise<HeldTrigger> {
  const trigger = heldTrigger(Date.now() - 1_000, { projectId: job.projectId, jobUid: job.uid });
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, waiting_for, waiting_since)
     values ($1, $2, $2, $2, $3, $4, $5, 1, 'SCHEDULED', 'PENDING', 1, 0, $6, now(), $7, $8)`,
    [
      trigger.id,
      new Date(trigger.fireTimeMs),
      job.projectId,
      job.uid,
      job.name,
      OWNER,
      since && "FLOW",
      since,
    ],
  );
  holding.add(trigger);
  holding.takeDue(Date.now(), 1_000);
  return trigger;
}

const rowOf = async ({ id }: HeldTrigger) =>
  (
    await ground.sql(
      "select owner, due_time, waiting_for, waiting_since from dispatcher.triggers where id = $1",
      [id],
    )
  )[0];

test("a trigger that is put off is no longer held before anything else is looked at", async () => {
  const [free, locked] = [await addTrigger(), await addTrigger()];
  const read = Promise.withResolvers<boolean>();
  // While it is held, this dispatcher might take the row, which has no owner now, and then drop its only copy.
  beforeRead = () => read.resolve(holding.holds(free));
  await ground.whileHeld(
    "select from dispatcher.triggers where id = $1 for update",
    [locked.id],
    async () => {
      for (const trigger of [free, locked]) waits.defer(trigger, "FLOW", Date.now() + 60_000);
      expect(await read.promise).toBe(false);
      await expect.poll(() => again).toEqual([locked]);
    },
  );
  expect(holding.holds(locked)).toBe(true);
  expect(await rowOf(free)).toMatchObject({ owner: null, waiting_for: "FLOW" });
});

test("a trigger is put off until after the time for which dispatchers take triggers", async () => {
  const trigger = await addTrigger();
  const nowMs = Date.now();
  waits.defer(trigger, "BREAKER", nowMs + 1_000);
  await expect.poll(() => holding.holds(trigger)).toBe(false);
  expect((await rowOf(trigger)).due_time.getTime()).toBeGreaterThan(nowMs + HORIZON_MS);
});

test("a trigger that is put off late is due after the time for which dispatchers take triggers then", async () => {
  const trigger = await addTrigger();
  const nowMs = Date.now();
  waits.defer(trigger, "BREAKER", nowMs + 1_000);
  aheadMs = 60_000;
  await expect.poll(() => holding.holds(trigger)).toBe(false);
  expect((await rowOf(trigger)).due_time.getTime()).toBeGreaterThan(nowMs + aheadMs + HORIZON_MS);
});

test("a trigger is shown to wait, although it waited for the same before it was replayed", async () => {
  const trigger = await addTrigger(new Date(Date.now() - 3_600_000));
  const startMs = Date.now();
  // What toHeldTrigger makes of such a row.
  trigger.waitingFor = "FLOW";
  waits.begin({ trigger, spec: undefined as never, isWaiting: true }, "FLOW");
  await expect
    .poll(async () => (await rowOf(trigger)).waiting_since.getTime())
    .toBeGreaterThanOrEqual(startMs);
});
