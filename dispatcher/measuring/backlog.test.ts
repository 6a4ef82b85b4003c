import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { createInstruments } from "../../mesh/metrics/metric.ts";
import { type ReadTelemetry, startReadTelemetry } from "../../test/support/read-metrics.ts";
import { createGround, type Ground } from "../testing/ground.ts";
import { backlogCount } from "./backlog.sql.ts";
import { createBacklogWatch } from "./backlog.ts";
import { DISPATCHER_METRICS } from "./metrics.ts";

// No dispatcher runs here, so nobody takes what is due.

const NOW = Date.parse("2026-11-01T10:00:00Z");
let ground: Ground;
let database: Pool;
let telemetry: ReadTelemetry;

beforeAll(async () => {
  ground = await createGround();
  database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
  await ground.sql(
    "insert into dispatcher.instances (id, start_time, lease_until) values ('inst_1', now(), now()), ('inst_2', now(), now())",
  );
});
afterAll(async () => {
  await database?.close();
  await ground?.end();
});
beforeEach(async () => {
  await ground.sql("delete from dispatcher.triggers");
  telemetry = await startReadTelemetry();
});
afterEach(() => telemetry.close());

/** Adds a trigger that has been due for `lateS` seconds. */
async function add(id: string, lateS: number, more: Record<string, string | number> = {}): Promise<void> {
  const columns = { state: "PENDING", kind: "SCHEDULED", waiting_for: null, attempt_base: 0, owner: null };
  const { state, kind, waiting_for, attempt_base, owner } = { ...columns, ...more };
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision, kind,
            state, seq, create_time, waiting_for, attempt_base, owner)
     values ($1, $2, $2, $2, 'proj_1', 'job_1', 'job', 1, $3, $4, 1, $2, $5, $6, $7)`,
    [id, new Date(NOW - lateS * 1_000), kind, state, waiting_for, attempt_base, owner],
  );
}

/** Makes a look, and reads what it shows: of each part how many triggers, and how late the oldest is. */
async function look(): Promise<Record<string, readonly (number | undefined)[]>> {
  const metrics = createInstruments(telemetry.meter, DISPATCHER_METRICS);
  await createBacklogWatch({ database, clock: { now: () => NOW } }, metrics)();
  const samples = await telemetry.samples();
  const shown = (name: string, part: string) =>
    samples.find((each) => each.name === name && each.labels.easycron_part === part)?.value;
  const parts = ["ours", "theirs"].map((part) => [
    part,
    [shown("easycron_backlog_triggers", part), shown("easycron_backlog_oldest_age_seconds", part)],
  ]);
  return Object.fromEntries(parts);
}

test("what waits for us is counted apart from what waits for the customer, with the age of the oldest of each", async () => {
  await add("o1", 20);
  await add("o2", 40, { state: "RETRYING", owner: "inst_1" });
  await add("t1", 90, { waiting_for: "FLOW", owner: "inst_1" });
  await add("running", 300, { state: "RUNNING", owner: "inst_1" });
  await add("accepted", 300, { state: "ACCEPTED", owner: "acknowledgement" });
  await add("fresh", 0.5);
  expect(await look()).toEqual({ ours: [2, 40], theirs: [1, 90] });
});

test("no backlog is shown as 0", async () => {
  expect(await look()).toEqual({ ours: [0, 0], theirs: [0, 0] });
});

test("catch-ups, backfills and replays may be late, and are not counted", async () => {
  await add("c", 900, { kind: "CATCHUP" });
  await add("b", 900, { kind: "BACKFILL", owner: "inst_1" });
  await add("r", 900, { attempt_base: 3 });
  await add("m", 30, { kind: "MANUAL" });
  expect(await look()).toEqual({ ours: [1, 30], theirs: [0, 0] });
});

test("no more triggers are looked at than asked for, of each dispatcher and of what none owns", async () => {
  for (const owner of ["inst_1", "inst_2", undefined])
    for (const n of [10, 20, 30]) await add(`${owner}${n}`, n, owner === undefined ? {} : { owner });
  const rows = await database.query(backlogCount, [toSqlTime(NOW), 2]);
  expect(rows.find(({ part }) => part === "ours")).toEqual({
    part: "ours",
    count: 6,
    oldest_time: NOW - 30_000,
  });
});
