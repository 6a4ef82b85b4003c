import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { declaredStatements } from "../db/statement.ts";
import { createDatabase } from "./support/database.ts";

const root = resolve(import.meta.dirname, "..");
const ROOMS = ["gateway", "scheduler", "dispatcher"] as const;

describe("every SQL statement is understood by a freshly migrated database", () => {
  test.each(ROOMS)("those of %s, under its own role", async (room) => {
    const before = new Set(declaredStatements());
    for (const name of await readdir(join(root, room))) {
      if (name.endsWith(".sql.ts")) await import(join(root, room, name));
    }
    const statements = declaredStatements().filter((declared) => !before.has(declared));
    expect(statements.length).toBeGreaterThan(1);
    const database = await createDatabase();
    const client = new pg.Client({ connectionString: database.url(room) });
    await client.connect();
    try {
      for (const { name, text } of statements) {
        await client.query(`prepare "${name}" as ${text}`).catch((error: unknown) => {
          throw new Error(`${name}: ${String(error)}`);
        });
      }
    } finally {
      await client.end();
      await database.drop();
    }
  });
});
