import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { type HeldTrigger, toHeldTrigger } from "../waiting/held-trigger.ts";
import { giveUpTriggers, unclaimTriggers } from "./claims.ts";

// A row that cannot be changed, as if it were damaged: a trigger of the table throws for it.

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  await ground.sql(`create function dispatcher.refuse() returns trigger language plpgsql
    as $$ begin raise 'the row % is damaged', old.id using errcode = 'data_corrupted'; end $$`);
  await ground.sql(`create trigger refuse before update on dispatcher.triggers
    for each row when (old.job_uid = 'job_bad') execute function dispatcher.refuse()`);
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

/** Adds nine triggers that `owner` owns, of which the fifth is damaged. */
async function addTriggers(owner: string, state: string, attempts: number): Promise<HeldTrigger[]> {
  const nowMs = Date.now();
  const triggers = Array.from({ length: 9 }, (_, index) =>
    toHeldTrigger({
      id: randomId("trg"),
      fire_time: nowMs,
      effective_time: nowMs,
      due_time: nowMs,
      project_id: "proj_1",
      job_uid: index === 4 ? "job_bad" : "job_1",
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
    }),
  );
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time)
     select id, at, at, at, 'proj_1', job_uid, 'job', 1, 'SCHEDULED', $3, 1, $4, $5, at, case when $4 > 0 then at end
       from unnest($1::text[], $2::text[]) as given (id, job_uid), to_timestamp($6::float8 / 1000) as at`,
    [triggers.map(({ id }) => id), triggers.map(({ jobUid }) => jobUid), state, attempts, owner, nowMs],
  );
  return triggers;
}

const statesOf = async (triggers: readonly HeldTrigger[]) => {
  const ids = triggers.map(({ id }) => id);
  const rows = await ground.sql("select id, state, owner from dispatcher.triggers where id = any ($1)", [
    ids,
  ]);
  const byId = new Map(rows.map(({ id, state, owner }) => [id, `${state} ${owner}`]));
  return ids.map((id) => byId.get(id));
};

test("claims are undone, without that of a trigger whose row cannot be changed", async () => {
  const triggers = await addTriggers("inst_1", "RUNNING", 1);
  await unclaimTriggers(database, triggers, "inst_1");
  const expected = triggers.map(({ jobUid }) => (jobUid === "job_bad" ? "RUNNING inst_1" : "PENDING null"));
  expect(await statesOf(triggers)).toEqual(expected);
});

test("triggers are given up, without one whose row cannot be changed", async () => {
  const triggers = await addTriggers("inst_2", "PENDING", 0);
  await giveUpTriggers(database, triggers, "inst_2");
  const expected = triggers.map(({ jobUid }) => (jobUid === "job_bad" ? "PENDING inst_2" : "PENDING null"));
  expect(await statesOf(triggers)).toEqual(expected);
});
