import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { createRevisionCache } from "./revision-cache.ts";
import { watchJobs } from "./watch.ts";

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

const MINUTE_MS = 60_000;
const START = Date.UTC(2026, 2, 2, 9);
const at = (minute: number) => START + minute * MINUTE_MS;

test.each(["PAUSED", "DISABLED"])(
  "the fire times of a job while it is %s need not succeed",
  async (state) => {
    const { projectId } = await ground.addProject();
    const schedules = [{ cron: { expression: "* * * * *" } }];
    const { uid } = await ground.addJob(projectId, "http://127.0.0.1:1/", { schedules });
    await ground.sql("update scheduler.jobs set state = $2 where uid = $1", [uid, state]);
    await ground.sql(
      `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, end_time, change_time)
     values ($1, 1, 'ACTIVE', 1, $3, $4, $3), ($1, 2, $2, 1, $4, null, $4)`,
      [uid, state, new Date(at(0)), new Date(at(2))],
    );
    const onUnreadable = (_: unknown, error: unknown) => {
      throw error;
    };
    const parts = { revisions: createRevisionCache(onUnreadable), onUnreadable };
    const job = { jobUid: uid, projectId, withinMs: MINUTE_MS, watchedUntilMs: at(0) };
    const watch = (await watchJobs(database, parts, [job], at(20))).get(uid);
    expect(watch?.undelivered.map(({ atMs }) => atMs)).toEqual([at(1), at(2)]);
    expect(watch?.nextMs).toBe(null);
  },
);
