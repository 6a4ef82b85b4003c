import pg from "pg";
import { expect, test } from "vitest";
import { resultSucceed } from "../results/results.sql.ts";
import { createGround, eventOf } from "../testing/ground.ts";
import { triggerClaim } from "../waiting/triggers.sql.ts";

test("a claim and the end of a trigger stay heap-only updates, with every index that lists triggers", async () => {
  const ground = await createGround();
  const client = new pg.Client({ connectionString: ground.databaseUrl });
  await client.connect();
  try {
    const { projectId } = await ground.addProject();
    const job = await ground.addJob(projectId, "http://127.0.0.1/");
    const { triggerId } = eventOf(job, Date.now());
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
              kind, state, seq, create_time, owner)
       values ($1, '2026-01-01', '2026-01-01', '2026-01-01', $2, $3, 'j', 1, 'SCHEDULED', 'PENDING', 1, now(), 'dsp')`,
      [triggerId, projectId, job.uid],
    );
    await client.query("begin");
    const values = [
      [triggerId],
      "2026-01-01",
      "2026-01-01",
      1,
      "2026-01-02",
      "dsp",
      { [triggerId]: "1/1/0" },
    ];
    const { rowCount } = await client.query(triggerClaim.text, values);
    const change = ["2026-01-02", "2026-01-02", "att_1", 5, 200, "ok"];
    const range = ["2026-01-01", "2026-01-01"];
    const ended = await client.query(resultSucceed.text, [[triggerId], ...range, { [triggerId]: change }]);
    const { rows } = await client.query(
      `select sum(pg_stat_get_xact_tuples_hot_updated(inhrelid))::integer as count from pg_inherits
        where inhparent = 'dispatcher.triggers'::regclass`,
    );
    expect([rowCount, ended.rowCount]).toEqual([1, 1]);
    expect(rows).toEqual([{ count: 2 }]);
  } finally {
    await client.query("rollback");
    await client.end();
    await ground.end();
  }
});
