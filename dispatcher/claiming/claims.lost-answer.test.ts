import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { toHeldTrigger } from "../waiting/held-trigger.ts";
import { claimTriggers, exhaustTriggers } from "./claims.ts";

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

test("a trigger with no time left is ended without an attempt, although a claim whose answer was lost had recorded one", async () => {
  const nowMs = Date.now();
  const id = randomId("trg");
  const trigger = toHeldTrigger({
    id,
    fire_time: nowMs,
    effective_time: nowMs,
    due_time: nowMs,
    project_id: "proj_1",
    job_uid: "job_1",
    job_name: "job",
    revision: 1,
    kind: "SCHEDULED",
    seq: 1,
    previous_fire_time: null,
    next_fire_time: null,
    previous_skipped: 0,
    previous_missed: 0,
    payload: null,
    attempt_count: 0,
    attempt_base: 0,
  });
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, owner, create_time)
     select $1, at, at, at, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', 1, 'inst_1', at
       from to_timestamp($2::float8 / 1000) as at`,
    [id, nowMs],
  );
  const by = { instance: "inst_1", nowMs };
  // The answer does not arrive, so the copy in memory counts no attempt.
  expect((await claimTriggers(database, [trigger], by)).claimed).toEqual(new Set([id]));
  const { claimed, postponed } = await exhaustTriggers(database, [trigger], by);
  expect({ claimed, postponed }).toEqual({ claimed: new Set([id]), postponed: new Map() });
  const [row] = await ground.sql("select * from dispatcher.triggers where id = $1", [id]);
  expect(row).toMatchObject({ state: "EXHAUSTED", attempt_count: 0, start_time: null, owner: null });
});
