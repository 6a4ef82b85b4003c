import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { DIFFERENT_LIVE_TRIGGERS } from "../test/support/live-triggers.ts";
import { migrate } from "./migrate.ts";
import { readMigrations } from "./migration-files.ts";

// What services of the version before have recorded is in dispatcher.live_triggers after the migration.

/** The last migration of the version before. */
const BEFORE = 29;
const UNFINISHED = ["pending", "other-month", "running", "retrying", "unwanted"];

let url: string;
let client: pg.Client;

beforeEach(async () => {
  const own = new URL(inject("easycronPostgres").url);
  own.pathname = `test_${randomBytes(8).toString("hex")}`;
  url = own.href;
  await onServer(`create database ${own.pathname.slice(1)}`);
  client = await connect();
  await client.query(
    "create table public.easycron_migrations (number integer primary key, name text not null, " +
      "checksum text not null, applied_time timestamptz not null default now())",
  );
  for (const { number, name, text, checksum } of (await readMigrations()).slice(0, BEFORE)) {
    // The roles belong to all databases of the test run.
    const ownText = text.replace(/^alter role .*;$/gm, "");
    await client.query(`begin; set local check_function_bodies = off; ${ownText}; commit`);
    const record = "insert into public.easycron_migrations (number, name, checksum) values ($1, $2, $3)";
    await client.query(record, [number, name, checksum]);
  }
  await client.query(
    `select dispatcher.make_partition('triggers', '2026-01-01T00:00:00Z'),
            dispatcher.make_partition('triggers', '2026-02-01T00:00:00Z')`,
  );
  await addTriggers();
});

afterEach(async () => {
  await client.end();
  await onServer(`drop database ${new URL(url).pathname.slice(1)} with (force)`);
});

async function onServer(text: string): Promise<void> {
  const admin = new pg.Client({ connectionString: inject("easycronPostgres").url });
  await admin.connect();
  await admin.query(text).finally(() => admin.end());
}

async function connect(): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: url });
  // The server ends the connections to a database that is dropped.
  connected.on("error", () => {});
  await connected.connect();
  return connected;
}

/** Adds triggers of one job in every state: in two months and, without a partition of its own, in a third one. */
async function addTriggers(): Promise<void> {
  await client.query(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time, end_time, cancel_time)
     select id, at::timestamptz, at::timestamptz, at::timestamptz + late::interval, 'proj_1', 'job_1', 'job', 1,
            'SCHEDULED', state, 1, 1, owner, now(), now(), end_time::timestamptz, cancel_time::timestamptz
       from (values
         ('pending', '2026-01-05T00:00:00Z', '0', 'PENDING', null, null, null),
         ('other-month', '2026-02-05T00:00:00Z', '0', 'PENDING', null, null, null),
         ('running', '2026-01-04T00:00:00Z', '0', 'RUNNING', 'inst_1', null, null),
         ('retrying', '2026-01-03T00:00:00Z', '1 min', 'RETRYING', 'inst_1', null, null),
         ('unwanted', '2019-05-01T00:00:00Z', '0', 'RUNNING', 'inst_1', null, '2026-01-01T00:00:00Z'),
         ('ended', '2026-01-02T00:00:00Z', '0', 'SUCCEEDED', null, '2026-01-02T00:00:01Z', null),
         ('ended-2', '2026-02-02T00:00:00Z', '0', 'EXHAUSTED', null, '2026-02-02T00:00:01Z', null),
         ('ended-3', '2019-05-02T00:00:00Z', '0', 'CANCELLED', null, '2019-05-02T00:00:01Z', null)
       ) as given (id, at, late, state, owner, end_time, cancel_time)`,
  );
}

/** The live triggers. Throws if they are not those that have not ended, with the same values. */
async function liveIds(): Promise<string[]> {
  const different = await client.query(DIFFERENT_LIVE_TRIGGERS);
  expect(different.rows).toEqual([]);
  const { rows } = await client.query("select id from dispatcher.live_triggers order by id");
  return rows.map(({ id }) => id);
}

async function stateOf(id: string): Promise<string> {
  const { rows } = await client.query("select state from dispatcher.triggers where id = $1", [id]);
  return rows[0]?.state;
}

describe("the migration to live triggers", () => {
  test("gives a row to every trigger that has not ended, and the functions of schedulers find it", async () => {
    await migrate(url);
    expect(await liveIds()).toEqual([...UNFINISHED].sort());

    const again = await client.query(
      `select dispatcher.redeliver('proj_1', 'job_1', array['2026-01-02T00:00:00Z'::timestamptz], true, now(), 1, 'job')`,
    );
    expect(again.rowCount).toBe(1);
    expect(await liveIds()).toEqual([...UNFINISHED, "ended"].sort());

    await client.query("select dispatcher.withdraw('job_1', '2026-02-01T00:00:00Z')");
    expect(await stateOf("other-month")).toBeUndefined();
    expect(await liveIds()).toEqual(["ended", "pending", "retrying", "running", "unwanted"]);

    await client.query("select dispatcher.cancel('job_1', now())");
    expect(await liveIds()).toEqual(["running", "unwanted"]);
    expect(await Promise.all(["pending", "retrying", "running"].map(stateOf))).toEqual([
      "CANCELLED",
      "CANCELLED",
      "RUNNING",
    ]);
  });

  test("waits for a change that has not been committed, and copies what it leaves", async () => {
    const other = await connect();
    await other.query("begin");
    await other.query("select dispatcher.cancel('job_1', now())");
    const migrated = migrate(url);
    const waiting =
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while ((await client.query(waiting)).rowCount === 0);
    await other.query("commit");
    await migrated;
    await other.end();
    expect(await liveIds()).toEqual(["running", "unwanted"]);
  });
});
