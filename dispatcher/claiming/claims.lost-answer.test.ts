import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { heldTrigger } from "../testing/held.ts";
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
  const trigger = heldTrigger(nowMs);
  const { id } = trigger;
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
  const told = await ground.sql("select kind, end_time from dispatcher.signals where trigger_id = $1", [
    trigger.id,
  ]);
  expect(told).toEqual([{ kind: "EXHAUSTED", end_time: new Date(by.nowMs) }]);
});
