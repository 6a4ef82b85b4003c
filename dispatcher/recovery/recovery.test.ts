import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createFullScan } from "../../mesh/full-scan.ts";
import { createEvents } from "../events/events.ts";
import { createGround, type Ground, randomId } from "../testing/ground.ts";
import { HELD_LIMITS } from "../waiting/held-bytes.ts";
import { createHolding } from "../waiting/holding.ts";
import { type RecoveryParts, releaseStrangers, sweepOwn } from "./recovery.ts";

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

const nowMs = Date.now();

async function addOwn(state: string, attempts: number, agoMs: number): Promise<string> {
  const [id = ""] = await addManyOwn(1, state, attempts, agoMs);
  return id;
}

async function addManyOwn(count: number, state: string, attempts: number, agoMs: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomId("trg"));
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time)
     select id, at, at, at, 'proj_1', 'job_1', 'job', 1, 'SCHEDULED', $2, 1, $3, 'inst_me', at,
       case when $3 > 0 then at end
       from unnest($1::text[]) as id, to_timestamp($4::float8 / 1000) as at`,
    [ids, state, attempts, nowMs - agoMs],
  );
  return ids;
}

/** What recovery needs, for an instance that holds nothing. */
function partsOf(instance: string): RecoveryParts {
  return {
    database,
    clock: { now: () => nowMs },
    events: createEvents(),
    lease: { instance, isValid: () => true, renew: async () => {}, beat: async () => {} },
    holding: createHolding(HELD_LIMITS),
    hold: () => {},
    leftOut: { ids: () => [], add: async () => {} },
    mayTake: () => true,
    onEnded: () => {},
  };
}

test("the sweep releases only triggers that are overdue, owned by this instance and not in its memory", async () => {
  const holding = createHolding({ projectBytes: 10_000, totalBytes: 10_000 });
  const lost = await addManyOwn(1_500, "PENDING", 0, 60_000);
  const running = await addOwn("RUNNING", 1, 60_000);
  const recent = await addOwn("PENDING", 0, 5_000);
  const held = await addOwn("PENDING", 0, 60_000);
  holding.add({
    id: held,
    fireTimeMs: nowMs,
    effectiveTimeMs: nowMs,
    projectId: "proj_1",
    jobUid: "job_1",
    jobName: "job",
    revision: 1,
    kind: "SCHEDULED",
    seq: 1,
    previousFireTimeMs: null,
    nextFireTimeMs: null,
    previousSkipped: 0,
    previousMissed: 0,
    payload: null,
    dueTimeMs: nowMs,
    attemptCount: 0,
    attemptBase: 0,
    waitingFor: null,
    waitingSinceMs: null,
  });
  const parts = { ...partsOf("inst_me"), holding };
  await sweepOwn(parts, createFullScan(0));

  const rows = await ground.sql("select id, state, owner, due_time from dispatcher.triggers");
  const byId = new Map(rows.map((row) => [row.id, row]));
  expect(new Set(lost.map((id) => byId.get(id)?.owner))).toEqual(new Set([null]));
  expect(byId.get(running)).toMatchObject({ state: "RETRYING", owner: null, due_time: new Date(nowMs) });
  expect(byId.get(recent)).toMatchObject({ state: "PENDING", owner: "inst_me" });
  expect(byId.get(held)).toMatchObject({ state: "PENDING", owner: "inst_me" });
  expect(await ground.sql("select trigger_id, number, outcome from dispatcher.attempts")).toEqual([
    { trigger_id: running, number: 1, outcome: "UNKNOWN" },
  ]);
});

test("triggers whose owner has no instance row are released", async () => {
  const id = await addOwn("PENDING", 0, 60_000);
  await ground.sql("update dispatcher.triggers set owner = 'inst_nobody' where id = $1", [id]);
  await ground.sql("insert into dispatcher.instances values ('inst_me', now(), now() + interval '1 minute')");
  await releaseStrangers(partsOf("inst_me"));
  const rows = await ground.sql("select id, owner from dispatcher.triggers where id = $1", [id]);
  expect(rows).toEqual([{ id, owner: null }]);
});
