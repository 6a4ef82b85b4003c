import pg from "pg";
import { expect, test } from "vitest";
import { OverlapPolicy } from "../../sdk/raw.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 300;
const SECONDS = 8;
/** Each job, also those of the healthy project, has a fire time a second, and one turn for it. */
const MOST_UPDATES_A_SECOND = 2 * (JOBS + 20);

test("jobs that wait behind a dead endpoint delay no other project, and are not looked at again and again", async () => {
  await using scene = await openFaultScene();
  const { healthy, mesh, troubled } = scene;
  const { receiver } = troubled;
  let asked = 0;
  const ends = Promise.withResolvers<void>();
  receiver.answer("/dead", async () => {
    asked += 1;
    await ends.promise;
    return { status: 200 };
  });
  const requests = Array.from({ length: JOBS }, (_, index) => ({
    job: {
      name: `waiting-${index}`,
      overlapPolicy: OverlapPolicy.BUFFER_ONE,
      schedules: [
        { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
      ],
      target: { kind: { case: "webhook" as const, value: { url: `${receiver.url}/dead` } } },
    },
  }));
  await troubled.client.raw.jobs.batchCreateJobs({ requests });
  await receiver.waitFor(() => asked > 0);
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  const waiting = async () => {
    const { rows } = await admin.query(
      "select count(*)::integer as n from scheduler.jobs where waits_for_end",
    );
    return rows[0]?.n;
  };
  await expect.poll(waiting, { timeout: 30_000, interval: 200 }).toBe(JOBS);
  const updates = async () => {
    const { rows } = await admin.query(
      "select n_tup_upd::integer as n from pg_stat_user_tables where relid = 'scheduler.jobs'::regclass",
    );
    return Number(rows[0]?.n);
  };
  const startMs = nextSecond();
  const before = await updates();
  const lateness = await healthy.between(startMs, startMs + SECONDS * 1_000);
  const perSecond = ((await updates()) - before) / ((Date.now() - startMs) / 1_000);
  console.log(
    `dead endpoint: ${Math.round(perSecond)} updates of jobs a second; ${JSON.stringify(lateness)}`,
  );
  ends.resolve();
  await admin.end();
  expect(lateness).toMatchObject({ repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
  expect(perSecond).toBeLessThan(MOST_UPDATES_A_SECOND);
});
