import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { toQuotedArray } from "./array.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url() });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

test("PostgreSQL reads from a quoted array the texts that were written, and null only for null", async () => {
  const values = [null, "", "null", "NULL", "{}", "a,b", '{"a":"x\\"y"}', "\\", "\\\\", '"', " é😀\n", "'"];
  for (const each of [values, values.toReversed(), []]) {
    const { rows } = await client.query("select $1::text[] as read", [toQuotedArray(each)]);
    expect(rows).toEqual([{ read: each }]);
  }
});
