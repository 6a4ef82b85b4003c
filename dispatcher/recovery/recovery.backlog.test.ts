import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createFullScan } from "../../mesh/full-scan.ts";
import { createEvents } from "../events/events.ts";
import { createSetAside } from "../set-aside/set-aside.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { HELD_LIMITS } from "../waiting/held-bytes.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { createHolding } from "../waiting/holding.ts";
import { createLeftOut } from "./left-out.ts";
import { takeOver } from "./recovery.ts";

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

// The time stands still: on a busy machine, what is due now would be due for long when 12,000 triggers are added.
const nowMs = Date.now();

/** Adds triggers of a project that nobody owns, due `beforeMs` ago. */
const addTriggers = (projectId: string, count: number, beforeMs: number) =>
  ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time)
     select 'trg_' || $1 || n, at, at, at, $1, 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', 1, at
       from generate_series(1, $2::integer) as n,
            (select to_timestamp($3::float8 / 1000) as at) as due`,
    [projectId, count, nowMs - beforeMs],
  );

test("the backlog of one project is taken in several runs, and each run first takes what is due now", async () => {
  await ground.sql(`insert into dispatcher.instances (id, start_time, lease_until)
    values ('inst_me', now(), now() + interval '1 hour')`);
  const held: HeldTrigger[] = [];
  const clock = { now: () => nowMs };
  const events = createEvents();
  const parts = {
    database,
    clock,
    events,
    lease: { instance: "inst_me", isValid: () => true, renew: async () => {}, beat: async () => {} },
    holding: createHolding(HELD_LIMITS),
    leftOut: createLeftOut({ clock, setAside: createSetAside({ database, clock, events }) }),
    hold: (triggers: readonly HeldTrigger[]) => {
      held.push(...triggers);
    },
    mayTake: () => true,
    onEnded: () => {},
  };
  const ofOther = () => held.filter(({ projectId }) => projectId === "proj_other").length;
  const scan = createFullScan(0);
  const backlog = { fromMs: undefined };
  await addTriggers("proj_backlog", 12_000, 60_000);
  await addTriggers("proj_other", 1, 0);
  expect(await takeOver(parts, scan, backlog)).toEqual({ more: true });
  expect(ofOther()).toBe(1);
  expect(held).toHaveLength(10_001);
  await addTriggers("proj_other_2", 1, 0);
  expect(await takeOver(parts, scan, backlog)).toEqual({ more: false });
  expect(held).toHaveLength(12_002);
});
