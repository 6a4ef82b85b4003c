import type { MessageInitShape } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { everyProcessLeads } from "../db/internal-redis/leadership.ts";
import type { TargetSchema } from "../gen/easycron/v1/target_pb.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { openBench, PROJECT, type SchedulerBench } from "./testing/bench.ts";

const NOW = Date.UTC(2026, 2, 1, 12);
const DAY_MS = 86_400_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(NOW);
});
afterEach(() => bench.close());

/** Does one round of housekeeping. */
async function keepHouse(): Promise<void> {
  const { database, clock } = bench.parts;
  const log = () => {};
  const logger = { debug: log, info: log, warn: log, error: log };
  const loop = startHousekeeping({ database, clock, logger, leadership: everyProcessLeads });
  // The first run has ended, and there is no second one for ten minutes.
  await loop.stop();
}

async function read(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: bench.adminUrl });
  await client.connect();
  const { rows } = await client.query(text);
  await client.end();
  return rows;
}

async function addJob(name: string): Promise<string> {
  const target: MessageInitShape<typeof TargetSchema> = {
    kind: { case: "webhook", value: { url: "https://example.com/" } },
  };
  return (await bench.createJob({ name, target })).uid;
}

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
  await keepHouse();
  const left = await read(
    "select request_id as id from scheduler.requests union all select uid from scheduler.undos",
  );
  expect(left).toEqual([{ id: "young" }, { id: "young" }]);
});

test("the count of exhausted triggers of a deleted job is kept for thirty days, and that of a job for longer", async () => {
  const [old, young, living] = [await addJob("old"), await addJob("young"), await addJob("living")];
  for (const uid of [old, young]) {
    await bench.spoil(
      "scheduler",
      "update scheduler.jobs set state = 'DELETED', next_fire_time = null where uid = $1",
      [uid],
    );
  }
  for (const [uid, ageMs] of [
    [old, 30 * DAY_MS + 1_000],
    [young, 30 * DAY_MS - 1_000],
    [living, 30 * DAY_MS + 1_000],
  ] as const) {
    await bench.spoil(
      "scheduler",
      "insert into scheduler.failing_jobs (job_uid, project_id, exhausted_count, last_time) values ($1, $2, 1, $3)",
      [uid, PROJECT, new Date(NOW - ageMs).toISOString()],
    );
  }
  await keepHouse();
  const left = await read("select job_uid from scheduler.failing_jobs");
  expect(left.map(({ job_uid: uid }) => uid).sort()).toEqual([young, living].sort());
});
