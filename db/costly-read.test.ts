import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { nameCostlyRead } from "./costly-read.ts";
import { createPool, type Pool } from "./pool.ts";

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase();
  const limits = { statementMs: 50 };
  pool = createPool({ connectionString: database.url(), max: 1, applicationName: "test", limits });
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

test("a read whose statement PostgreSQL has ended at its time limit is READ_TOO_COSTLY", async () => {
  const slow = nameCostlyRead(() => pool.query({ name: "slow", text: "select pg_sleep(10)" }));
  await expect(slow).rejects.toMatchObject({ reason: "READ_TOO_COSTLY", retryAfterMs: undefined });
});

test("a read that fails for another reason throws its own error", async () => {
  await expect(nameCostlyRead(() => Promise.reject(new Error("other")))).rejects.toThrow("other");
});
