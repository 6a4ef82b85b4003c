import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { declaredStatements } from "../db/statement.ts";
import { createDatabase } from "./support/database.ts";

const root = resolve(import.meta.dirname, "..");
const ROOMS = ["gateway", "scheduler", "dispatcher"] as const;
/** Statements that every service may run. */
const SHARED = "db";

/** Every *.sql.ts file that is in git or would be added to it, at any depth. */
const sqlFiles = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.sql.ts"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "");

describe("the SQL statements", () => {
  test.each(ROOMS)(
    "of %s can be prepared on a freshly migrated database under its own role",
    async (room) => {
      const before = new Set(declaredStatements());
      for (const path of sqlFiles.filter((path) =>
        [room, SHARED].some((folder) => path.startsWith(`${folder}/`)),
      ))
        await import(join(root, path));
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
    },
  );

  test("lie in the folders of these services and in the one that they share only", () => {
    const outside = sqlFiles.filter(
      (path) => ![...ROOMS, SHARED].some((room) => path.startsWith(`${room}/`)),
    );
    expect(sqlFiles.length).toBeGreaterThan(ROOMS.length);
    expect(outside).toEqual([]);
  });
});
