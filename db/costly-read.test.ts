import { expect, test } from "vitest";
import { createDatabase } from "../test/support/database.ts";
import { limitCost } from "./costly-read.ts";
import { createPool } from "./pool.ts";

test("a read whose statement PostgreSQL ends at its time limit is READ_TOO_COSTLY, and other errors stay", async () => {
  const database = await createDatabase();
  const limits = { statementMs: 50 };
  const pool = createPool({ connectionString: database.url(), max: 1, applicationName: "test", limits });
  try {
    const read = limitCost(() => pool.query({ name: "slow", text: "select pg_sleep(10)" }));
    await expect(read).rejects.toMatchObject({ reason: "READ_TOO_COSTLY", retryAfterMs: undefined });
    await expect(limitCost(() => Promise.reject(new Error("other")))).rejects.toThrow("other");
  } finally {
    await pool.close();
    await database.drop();
  }
});
