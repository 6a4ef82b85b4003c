import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { DIFFERENT_LIVE_TRIGGERS } from "../../test/support/live-triggers.ts";
import { createEvents } from "../events/events.ts";
import { createGround, eventOf, type Ground, randomId } from "../testing/ground.ts";
import { liveCompare, liveListMissing } from "./compare.sql.ts";
import { createComparison } from "./compare.ts";

let ground: Ground;
let database: Pool;

beforeAll(async () => {
  ground = await createGround();
  const options = { max: 2, applicationName: "test", avoidsScans: true };
  database = createPool({ connectionString: ground.databaseUrl, ...options });
});

afterAll(async () => {
  await database.close();
  await ground.end();
});

beforeEach(async () => {
  await ground.sql("delete from dispatcher.triggers");
});

/** Adds triggers that wait, `ids` in the months that begin at the given times. */
async function addTriggers(ids: readonly string[], from = "2026-05-01T00:00:00Z"): Promise<void> {
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time)
     select id, at, at, at, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', 'PENDING', place, now()
       from unnest($1::text[]) with ordinality as given (id, place)
      cross join lateral (select $2::timestamptz + place * interval '1 s' as at) as due`,
    [ids, from],
  );
}

/** Makes a comparison that has chosen its first round already. `told` has what it tells of. */
async function compare(options: { readonly elapsedMs?: () => number; readonly size?: number } = {}) {
  const events = createEvents();
  const told: { found: number; repaired: number; ids: readonly string[] }[] = [];
  events.on("liveTriggersDiffered", (fields) => told.push(fields));
  const { elapsedMs = () => performance.now(), size = 2 } = options;
  const step = { rows: size, blocks: size };
  const run = createComparison({ database, events, random: () => 0.5, mayGoOn: () => true, step, elapsedMs });
  expect(await run()).toEqual({ more: false, againMs: 300_000 });
  return { run, told };
}

const different = async () => (await ground.sql(DIFFERENT_LIVE_TRIGGERS)).map(({ id }) => id);

test("whatever differs is repaired and told of: rows that are missing, left over, or wrong", async () => {
  const ids = Array.from("abcdefgh", (letter) => `trg_${letter}`);
  await addTriggers(ids);
  await addTriggers(["trg_old"], "2019-01-01T00:00:00Z");
  await ground.sql("update dispatcher.triggers set state = 'SUCCEEDED', end_time = now() where id = 'trg_h'");
  await ground.sql(
    `insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, due_time)
     select id, fire_time, project_id, job_uid, kind, due_time from dispatcher.triggers where id = 'trg_h'
     union all select 'trg_none', now(), 'proj_1', 'job_1', 'SCHEDULED', now()`,
  );
  await ground.sql("delete from dispatcher.live_triggers where id in ('trg_a', 'trg_old')");
  await ground.sql("update dispatcher.live_triggers set owner = 'inst_1' where id = 'trg_c'");
  await ground.sql("update dispatcher.live_triggers set due_time = now() where id = 'trg_d'");
  await ground.sql("update dispatcher.live_triggers set fire_time = now() where id = 'trg_e'");
  const wrong = ["trg_a", "trg_c", "trg_d", "trg_e", "trg_h", "trg_none", "trg_old"];
  expect((await different()).sort()).toEqual(wrong);

  const { run, told } = await compare();
  expect(await run()).toEqual({ more: false });
  expect(await different()).toEqual([]);
  expect(told.flatMap(({ ids }) => ids).sort()).toEqual(wrong);
  expect(told.map(({ found, repaired }) => found - repaired)).toEqual(told.map(() => 0));

  told.length = 0;
  await run();
  expect(told).toEqual([]);
});

test("what another transaction changes is left for the next time, and nothing waits for it", async () => {
  await addTriggers(["trg_a", "trg_b"]);
  await ground.sql("delete from dispatcher.live_triggers");
  const { run, told } = await compare();
  await ground.whileHeld("select from dispatcher.triggers where id = 'trg_a' for update", [], run);
  expect(told).toEqual([{ found: 2, repaired: 1, ids: ["trg_a", "trg_b"] }]);
  await run();
  expect(await different()).toEqual([]);
});

test("a round that is over goes on in the next one, where it has ended", async () => {
  const ids = Array.from({ length: 400 }, (_, place) => `trg_${String(place).padStart(3, "0")}`);
  await addTriggers(ids);
  await ground.sql("update dispatcher.live_triggers set owner = 'inst_1' where id = any ($1)", [
    ids.slice(-1),
  ]);
  await ground.sql("delete from dispatcher.live_triggers where id = 'trg_398'");
  let nowMs = 0;
  const elapsedMs = () => {
    nowMs += 1_500;
    return nowMs;
  };
  const { run, told } = await compare({ elapsedMs, size: 1 });
  await run();
  expect(told).toEqual([]);
  for (let round = 0; round < 400 && told.length < 2; round++) await run();
  expect(told.flatMap(({ ids }) => ids).sort()).toEqual(["trg_398", "trg_399"]);
  expect(await different()).toEqual([]);
});

test("more differences than are repaired at once are repaired in the same round", async () => {
  await addTriggers(Array.from({ length: 2_500 }, (_, place) => `trg_${place}`));
  await ground.sql("delete from dispatcher.live_triggers");
  const { run, told } = await compare({ size: 10_000 });
  await run();
  expect(told.map(({ repaired }) => repaired)).toEqual([1_000, 1_000, 500]);
});

test.each([
  [liveCompare, ["Index Scan using live_triggers_pkey", "Index Scan using triggers_default_pkey"]],
  [liveListMissing, ["Tid Range Scan on triggers_default", "live_triggers_pkey on live_triggers"]],
])("$name reads a step of its table only", async ({ text }, reads) => {
  const options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
  const client = new pg.Client({ connectionString: ground.databaseUrl, options });
  await client.connect();
  await client.query(`prepare it as ${text}`);
  const { rows } = await client.query("explain execute it('0', 1, 1)");
  await client.end();
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  for (const read of reads) expect(plan).toContain(read);
  expect(plan).not.toMatch(/Seq Scan on (triggers|live)/);
});

test("an event whose trigger is recorded replaces a live row that was left over", async () => {
  const dispatcher = await ground.start();
  const job = await ground.addJob((await ground.addProject()).projectId, "http://127.0.0.1:1/");
  const event = eventOf(job, Date.now() + 3_600_000, { triggerId: randomId("trg") });
  await ground.sql(
    `insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
     values ($1, now(), 'proj_1', 'job_1', 'BACKFILL', 3, 'inst_1', now())`,
    [event.triggerId],
  );
  expect(await dispatcher.accept([event])).toMatchObject({ recorded: 1, errorCode: 0 });
  expect(await different()).toEqual([]);
});
