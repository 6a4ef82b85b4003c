import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));

let database: TestDatabase;
let client: pg.Client;

// Takes the tables back to what they were before the migration, fills them, and migrates them.
beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url() });
  await client.connect();
  await client.query(`
    drop function dispatcher.use_master_key;
    drop table dispatcher.data_keys;
    drop index dispatcher.signing_keys_old_format;
    alter table dispatcher.instances drop column master_key_id;
    alter table dispatcher.signing_keys
      drop column algorithm, drop column public_key, drop column expire_time, drop column revoke_time`);
  await client.query(
    `insert into dispatcher.signing_keys (id, project_id, sealed_secret, create_time)
     select p || n, p, '\\x01', timestamptz '2026-01-01' + n * interval '1 hour'
       from (values ('few', 5), ('many', 8)) as projects (p, count), generate_series(1, count) as n`,
  );
  const name = (await readdir(FOLDER)).find((file) => file.endsWith("_create_data_keys.sql"));
  await client.query(await readFile(`${FOLDER}${name}`, "utf8"));
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test("the migration to data keys ends exactly the signing keys that did not sign, all but the five newest", async () => {
  const { rows } = await client.query(
    "select id from dispatcher.signing_keys where expire_time <= now() order by id",
  );
  expect(rows.map(({ id }) => id)).toEqual(["many1", "many2", "many3"]);
});

test("the migration to data keys takes every key for one of HMAC", async () => {
  const { rows } = await client.query(
    "select distinct algorithm, public_key, revoke_time from dispatcher.signing_keys",
  );
  expect(rows).toEqual([{ algorithm: "HMAC_SHA256", public_key: null, revoke_time: null }]);
});
