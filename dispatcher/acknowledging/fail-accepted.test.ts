import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createFullScan } from "../../mesh/full-scan.ts";
import { createSpecCache } from "../delivery/spec-cache.ts";
import { createEvents } from "../events/events.ts";
import { createGround, type Ground, type TestJob } from "../testing/ground.ts";
import { failOverdue } from "./fail-accepted.ts";

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

const NOW = Date.now();

/** Adds a job of a project of its own. */
async function addJob(): Promise<TestJob> {
  const { projectId } = await ground.addProject();
  return ground.addJob(projectId, "http://127.0.0.1:1/");
}

/** Adds triggers that wait for their acknowledgement, with the same deadline `beforeMs` ago. */
const addAccepted = ({ uid, projectId }: TestJob, count: number, beforeMs: number) =>
  ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, create_time, start_time, owner, attempt_count)
     select 'trg_' || $2 || n, at, at, at, $1, $2, 'job', 1, 'SCHEDULED', 'ACCEPTED', 1, at, at, 'acknowledgement', 1
       from generate_series(1, $3::integer) as n, (select to_timestamp($4::float8 / 1000) as at) as due`,
    [projectId, uid, count, NOW - beforeMs],
  );

/** How many triggers of a job still wait for their acknowledgement. */
const waiting = async ({ uid }: TestJob) =>
  (
    await ground.sql(
      "select count(*)::integer as count from dispatcher.triggers where job_uid = $1 and state = 'ACCEPTED'",
      [uid],
    )
  )[0]?.count;

const createParts = () => ({
  database,
  clock: { now: () => NOW },
  random: Math.random,
  events: createEvents(),
  specs: createSpecCache(database, 1_000_000),
  onEnded: () => {},
});

test("a page of deadlines whose triggers are all locked does not end the run", async () => {
  const [locked, other] = [await addJob(), await addJob()];
  await addAccepted(locked, 1_200, 2_000);
  await addAccepted(other, 1, 1_000);
  const lock = "select from dispatcher.triggers where job_uid = $1 for update";
  const run = () => failOverdue(createParts(), createFullScan(0), { fromMs: undefined });
  await ground.whileHeld(lock, [locked.uid], run);
  expect([await waiting(locked), await waiting(other)]).toEqual([1_200, 0]);
  await run();
  expect(await waiting(locked)).toBe(0);
});

test("a backlog of one project is dealt with in several runs, and each first deals with what has just passed", async () => {
  const [backlogged, other] = [await addJob(), await addJob()];
  await addAccepted(backlogged, 6_000, 60_000);
  await addAccepted(other, 1, 1_000);
  // Without a further full scan the second run would not see the backlog.
  const [scan, backlog] = [createFullScan(3_600_000), { fromMs: undefined }];
  const first = await failOverdue(createParts(), scan, backlog);
  expect([first, await waiting(other)]).toEqual([{ more: true }, 0]);
  expect(await waiting(backlogged)).toBeGreaterThan(0);
  const second = await failOverdue(createParts(), scan, backlog);
  expect([second, await waiting(backlogged)]).toEqual([{ more: false }, 0]);
});
