import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";

const MIGRATION = new URL("./migrations/0018_keep_specifications_as_text.sql", import.meta.url);

const UNREADABLE =
  String.raw`{"payload":{"nul":"a\u0000b","half":"\ud800","kept":"\\u0000"},` +
  String.raw`"labels":{"te\u0000am":"a\\u0000b\u0000c","half":"\uDFFFx"},"schedules":[{"timeZone":"Asia/\u0000Tokyo"}]}`;
const SPECIFICATIONS: Readonly<Record<string, string>> = {
  full:
    '{ "schedules": [{"timeZone":"UTC"},{},{"timeZone":""},{"timeZone":"Europe/Paris"}],  "target":{"redis":{"stream":"s"}},' +
    '"payload":1e308, "labels":{"team":"billing"} }',
  empty: "{}",
  unreadable: UNREADABLE,
  hopeless: '{"schedules":{},"payload":1.0}',
};

let database: TestDatabase;
let client: pg.Client;

// Takes the table back to what it was before the migration, fills it, and migrates it.
beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url() });
  await client.connect();
  await client.query(
    "drop trigger watch_job on scheduler.revisions; drop trigger unwatch_job on scheduler.revisions; alter table scheduler.revisions drop column facets, alter column spec type json using spec::json",
  );
  for (const [uid, spec] of Object.entries(SPECIFICATIONS)) {
    await client.query(
      `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, create_time, update_time)
       values ($1, 'proj_1', $1, 'ACTIVE', 1, 1, now(), now())`,
      [uid],
    );
    await client.query(
      "insert into scheduler.revisions (job_uid, revision, spec, create_time) values ($1, 1, $2, now())",
      [uid, spec],
    );
  }
  await client.query(await readFile(MIGRATION, "utf8"));
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

describe("the migration to specifications as text", () => {
  test("keeps every text byte for byte, also one that PostgreSQL cannot read as JSON", async () => {
    const { rows } = await client.query<{ job_uid: string; spec: string }>(
      "select job_uid, spec from scheduler.revisions",
    );
    expect(Object.fromEntries(rows.map(({ job_uid, spec }) => [job_uid, spec]))).toEqual(SPECIFICATIONS);
  });

  test.each([
    ["full", { labels: { team: "billing" }, target: "redis", zones: ["Europe/Paris", "UTC"] }],
    ["empty", { labels: {}, target: null, zones: [] }],
    [
      "unreadable",
      {
        labels: { team: String.raw`a\u0000bc`, half: "x" },
        target: null,
        zones: ["Asia/Tokyo"],
      },
    ],
    ["hopeless", {}],
  ])("computes the facets of a specification that is %s", async (uid, facets) => {
    const { rows } = await client.query("select facets from scheduler.revisions where job_uid = $1", [uid]);
    expect(rows).toEqual([{ facets }]);
  });
});
