import pg from "pg";
import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

const MOST_LATE_MS = 1_000;
const HELD_MS = 15_000;

test("a snapshot that is held for long delays nobody, and is reported", async () => {
  await using scene = await openFaultScene({
    healthyJobs: 200,
    env: { EASYCRON_DISPATCHER_SNAPSHOT_ALERT_MS: "1000" },
  });
  const { mesh, healthy } = scene;
  const reader = new pg.Client({ connectionString: mesh.databaseUrl, application_name: "nightly-report" });
  await reader.connect();
  await reader.query("begin isolation level repeatable read");
  await reader.query("select count(*) from scheduler.jobs");
  const startMs = nextSecond();
  const lateness = await healthy.between(startMs, startMs + HELD_MS);
  console.log(`while a snapshot is held: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(MOST_LATE_MS);
  await expect
    .poll(() => mesh.output.join("\n"), { timeout: 60_000 })
    .toContain("an old snapshot keeps PostgreSQL from removing dead rows");
  await reader.query("commit");
  await reader.end();
});
