import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database, Queryable } from "../../db/pool.ts";
import { failure } from "../../mesh/errors.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { CLAIM_LIMIT, LATE_CLAIM_LIMIT } from "./claim.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 0, 1);
const LARGE = "proj_large";
/** How many jobs the small projects have. */
const FEW = 10;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Makes a project with many jobs, and then two with few, all of which are due at one instant. */
async function createProjects(many: number): Promise<void> {
  const admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  try {
    const large = await bench.createJob(everySecond("job"), LARGE);
    await copyJob(admin, large.uid, many - 1, "large");
    for (const projectId of ["proj_small", "proj_other"]) {
      const small = await bench.createJob(everySecond("job"), projectId);
      await copyJob(admin, small.uid, FEW - 1, projectId);
    }
  } finally {
    await admin.end();
  }
}

/** Runs ticks, and counts the jobs of each project that have a trigger. */
async function run(ticks: number): Promise<Record<string, number>> {
  for (let tick = 0; tick < ticks; tick++) await bench.tick.run();
  const admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  const { rows } = await admin.query(
    "select project_id, count(distinct job_uid)::integer as jobs from dispatcher.triggers group by project_id",
  );
  await admin.end();
  return Object.fromEntries(rows.map(({ project_id: id, jobs }) => [id, jobs]));
}

test("the jobs of small projects are in the first batches, however many jobs of a large one are due", async () => {
  await createProjects(6 * CLAIM_LIMIT);
  const jobs = await run(2);
  expect(jobs).toMatchObject({ proj_small: FEW, proj_other: FEW });
  expect(jobs[LARGE]).toBeLessThanOrEqual(CLAIM_LIMIT);
  while ((await bench.tick.run()).more);
  expect(await run(0)).toMatchObject({ [LARGE]: 6 * CLAIM_LIMIT });
}, 60_000);

test("the late jobs of small projects are in the first batches, too", async () => {
  await createProjects(5 * LATE_CLAIM_LIMIT);
  bench.setTime(START + 30_000);
  expect(await run(2)).toMatchObject({ proj_small: FEW, proj_other: FEW });
}, 60_000);

/** A database on which a claim that passes projects over fails, as one does that is too slow. Records what is passed over. */
function withoutPassingOver(database: Database, passedOver: string[][]): Database {
  const failing = (on: Queryable): Queryable => ({
    query: (statement, values) => {
      const projects = values?.[3];
      if (statement.name === "jobClaimDue" && Array.isArray(projects)) {
        passedOver.push(projects.map(String));
        if (projects.length > 0) throw failure("SERVICE_UNAVAILABLE", { service: "database" });
      }
      return on.query(statement, values);
    },
  });
  return { ...database, transaction: (work) => database.transaction((tx) => work(failing(tx))) };
}

test.each([
  ["on time", CLAIM_LIMIT, 0],
  ["late", LATE_CLAIM_LIMIT, 30_000],
])(
  "after a claim that failed because it passes a project over, the next ones do not: jobs that are %s",
  async (_, limit, lateMs) => {
    await createProjects(3 * limit);
    bench.setTime(START + lateMs);
    const passedOver: string[][] = [];
    const onTrouble = (_uid: string, error: unknown) => {
      throw error;
    };
    const database = withoutPassingOver(bench.parts.database, passedOver);
    const tick = createTick({ ...bench.parts, database, onTrouble });
    await tick.run();
    await expect(tick.run()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    expect(passedOver.at(-1)).toEqual([LARGE]);
    expect((await tick.run()).events).toBeGreaterThan(0);
    expect(passedOver.at(-1)).toEqual([]);
  },
  60_000,
);

test("a round ends when nothing is due any more: the next burst of the project is not passed over", async () => {
  const passedOver: string[][] = [];
  const tick = createTick({
    ...bench.parts,
    onTrouble: () => {},
    database: withoutPassingOver(bench.parts.database, passedOver),
  });
  const admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  const { uid } = await bench.createJob(everySecond("job"), LARGE);
  await copyJob(admin, uid, CLAIM_LIMIT - 1, "large");
  await admin.end();
  await tick.run();
  await tick.run();
  bench.setTime(START + 5_000);
  expect((await tick.run()).events).toBeGreaterThan(0);
  expect(passedOver.flat()).toEqual([]);
}, 60_000);
