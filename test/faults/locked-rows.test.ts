import pg from "pg";
import { expect, test } from "vitest";
import { reached } from "../support/reached.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const HELD_MS = 5_000;

test("a healthy project is on time while a scheduler stalls between the withdrawal of a job's triggers and COMMIT", async () => {
  await using scene = await openFaultScene();
  const { client, receiver } = scene.troubled;
  const created = await client.raw.jobs.createJob({
    job: {
      name: "locked",
      schedules: [
        { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
      ],
      target: { kind: { case: "webhook" as const, value: { url: receiver.url } } },
    },
  });
  await receiver.waitFor((requests) => requests.length > 0);
  // What a scheduler does for a change, and then nothing more.
  const session = new pg.Client({ connectionString: scene.mesh.databaseUrl });
  await session.connect();
  await session.query("begin");
  await session.query("select from scheduler.jobs where uid = $1 for update", [created.job?.uid]);
  await session.query("select dispatcher.withdraw($1, now())", [created.job?.uid]);
  const startMs = nextSecond();
  const lateness = await scene.healthy.between(startMs, startMs + HELD_MS);
  await reached(startMs + HELD_MS);
  console.log(`locked rows: ${JSON.stringify(lateness)}`);
  expect(lateness.repeated).toBe(0);
  expect(lateness.worstMs).toBeLessThan(1_000);
  // The change is undone: the job's triggers go out, too.
  const { length } = receiver.requests;
  await session.query("rollback");
  await session.end();
  await receiver.waitFor((requests) => requests.length > length + HELD_MS / 1_000 - 2);
});
