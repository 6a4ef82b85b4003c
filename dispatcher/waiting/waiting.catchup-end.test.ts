import { expect, test } from "vitest";
import { createGround } from "../testing/ground.ts";

test("the end of a catch-up is the last time that a trigger of it was wanted for, however late one is retried", async () => {
  const ground = await createGround();
  const read = async () => {
    const [{ at }] = await ground.sql("select dispatcher.catchup_end('proj_1') as at");
    return at as Date | null;
  };
  expect(await read()).toBeNull();
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time, cancel_time)
     select id, at, at, at + late, project, 'job_1', 'job', 1, kind, state, 1, now(),
            case when id = 'trg_unwanted' then now() end
       from (values
         ('trg_retried', timestamptz '2026-01-01T00:00:00Z', interval '1 h', 'proj_1', 'CATCHUP', 'RETRYING'),
         ('trg_first', '2026-01-01T00:00:01Z', '0', 'proj_1', 'CATCHUP', 'PENDING'),
         ('trg_last', '2026-01-01T00:00:02Z', '0', 'proj_1', 'CATCHUP', 'PENDING'),
         ('trg_unwanted', '2026-01-01T00:00:03Z', '0', 'proj_1', 'CATCHUP', 'RUNNING'),
         ('trg_other', '2026-01-01T00:00:04Z', '0', 'proj_2', 'CATCHUP', 'PENDING'),
         ('trg_backfill', '2026-01-01T00:00:05Z', '0', 'proj_1', 'BACKFILL', 'PENDING')
       ) as given (id, at, late, project, kind, state)`,
  );
  expect(await read()).toEqual(new Date("2026-01-01T00:00:02Z"));
  await ground.end();
});
