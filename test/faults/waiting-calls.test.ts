import pg from "pg";
import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

const CALLS = 24;
const SECONDS = 6;

test("a project whose calls wait for one job's row delays no other project's deliveries or calls", async () => {
  await using scene = await openFaultScene();
  const { mesh, healthy, troubled } = scene;
  const job = {
    name: "locked",
    schedules: [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }],
    target: { webhook: { url: troubled.receiver.url } },
  };
  expect(await troubled.call("JobService/CreateJob", { job })).toMatchObject({ status: 200 });
  const session = new pg.Client({ connectionString: mesh.databaseUrl });
  await session.connect();
  await session.query("begin");
  await session.query("select from scheduler.jobs where name = 'locked' for update");
  const startMs = nextSecond();
  const endMs = startMs + SECONDS * 1_000;
  const pauseUntilEnd = async () => {
    const statuses: number[] = [];
    while (Date.now() < endMs)
      statuses.push((await troubled.call("JobService/PauseJob", { name: "locked" })).status);
    return statuses;
  };
  const calls = Array.from({ length: CALLS }, pauseUntilEnd);
  const answersMs: number[] = [];
  while (Date.now() < endMs) {
    const askedMs = Date.now();
    await healthy.fleet.client.raw.jobs.getJob({ name: "fleet-0" });
    answersMs.push(Date.now() - askedMs);
  }
  const lateness = await healthy.between(startMs, endMs);
  const statuses = new Set((await Promise.all(calls)).flat());
  await session.query("rollback");
  await session.end();
  console.log(
    `waiting calls: ${JSON.stringify({ ...lateness, slowestCallMs: Math.max(...answersMs), statuses: [...statuses] })}`,
  );
  expect(lateness).toMatchObject({ repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
  expect(Math.max(...answersMs)).toBeLessThan(1_000);
  // None of them could be carried out. Each said so, and that it can be repeated.
  expect([...statuses].filter((status) => status !== 503 && status !== 429)).toEqual([]);
});
