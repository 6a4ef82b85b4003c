import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { everyProcessLeads } from "../db/internal-redis/leadership.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { openBench, PROJECT, type SchedulerBench } from "./testing/bench.ts";

const NOW = Date.UTC(2026, 2, 1, 12);
const DAY_MS = 86_400_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(NOW);
});
afterEach(() => bench.close());

test("request ids are kept for a day and undos for thirty days", async () => {
  const at = (ageMs: number) => new Date(NOW - ageMs).toISOString();
  for (const [id, ageMs] of [
    ["old", DAY_MS + 1_000],
    ["young", DAY_MS - 1_000],
  ] as const) {
    await bench.spoil(
      "scheduler",
      "insert into scheduler.requests (project_id, request_id, fingerprint, job_uid, create_time) values ($1, $2, '', 'job_a', $3)",
      [PROJECT, id, at(ageMs)],
    );
    await bench.spoil(
      "scheduler",
      "insert into scheduler.undos (uid, project_id, entries, create_time) values ($1, $2, '[]', $3)",
      [id, PROJECT, at(29 * DAY_MS + ageMs)],
    );
  }
  const { database, clock } = bench.parts;
  const log = () => {};
  const logger = { debug: log, info: log, warn: log, error: log };
  const loop = startHousekeeping({ database, clock, logger, leadership: everyProcessLeads });
  // The first run has ended, and there is no second one for ten minutes.
  await loop.stop();
  const client = new pg.Client({ connectionString: bench.adminUrl });
  await client.connect();
  const left = await client.query(
    "select request_id as id from scheduler.requests union all select uid from scheduler.undos",
  );
  await client.end();
  expect(left.rows).toEqual([{ id: "young" }, { id: "young" }]);
});
