import pg from "pg";
import { expect, test } from "vitest";
import { createPool } from "../../db/pool.ts";
import { createGround } from "../testing/ground.ts";
import { triggerTakeDue } from "./triggers.sql.ts";

test("a trigger is taken in both tables or in none, also when its live row is made anew meanwhile", async () => {
  const ground = await createGround();
  const database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  await ground.sql(
    "insert into dispatcher.instances values ('inst_1', now(), now() + interval '1 h', now() + interval '1 h')",
  );
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time)
     select id, now(), now(), now(), 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', 1, now()
       from unnest(array['trg_1', 'trg_2']) as id`,
  );
  const other = new pg.Client({ connectionString: ground.adminUrl });
  await other.connect();
  // As when the trigger ends and is delivered again while the statement runs.
  await other.query(
    `begin; create temporary table made on commit drop as select * from dispatcher.live_triggers where id = 'trg_1';
     delete from dispatcher.live_triggers where id = 'trg_1'; insert into dispatcher.live_triggers select * from made`,
  );
  const values = ["inst_1", "2100-01-01T00:00:00Z", 10, [], [], false, "2000-01-01T00:00:00Z", [], null];
  const taken = database.query(triggerTakeDue, values);
  await ground.untilWaiting();
  await other.query("commit");
  expect((await taken).map(({ id }) => id)).toEqual(["trg_2"]);
  const owners = await ground.sql(
    `select t.id, t.owner, l.owner as live_owner from dispatcher.triggers t join dispatcher.live_triggers l using (id)
      order by 1`,
  );
  expect(owners).toEqual([
    { id: "trg_1", owner: null, live_owner: null },
    { id: "trg_2", owner: "inst_1", live_owner: "inst_1" },
  ]);
  await Promise.all([other.end(), database.close()]);
  await ground.end();
});
