import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { declaredStatements } from "../db/statement.ts";
import { createDatabase } from "./support/database.ts";

const root = resolve(import.meta.dirname, "..");
const ROOMS = ["gateway", "scheduler", "dispatcher"] as const;

/** Folders with SQL: one for each service, and `db`, whose statements every service runs. */
const FOLDERS = [...ROOMS, "db"];

/** Every *.sql.ts file that is in git or would be added to it, at any depth. */
const sqlFiles = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.sql.ts"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "");

/** Loads the SQL files of a folder and returns the statements that they declare. */
async function load(folder: string) {
  const before = new Set(declaredStatements());
  for (const path of sqlFiles.filter((path) => path.startsWith(`${folder}/`))) await import(join(root, path));
  return declaredStatements().filter((declared) => !before.has(declared));
}

const shared = await load("db");

describe("the SQL statements", () => {
  test.each(ROOMS)(
    "of %s can be prepared on a freshly migrated database under its own role",
    async (room) => {
      const statements = [...shared, ...(await load(room))];
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

  test("lie in the folders of these services, and in db, only", () => {
    const outside = sqlFiles.filter((path) => !FOLDERS.some((folder) => path.startsWith(`${folder}/`)));
    expect(sqlFiles.length).toBeGreaterThan(FOLDERS.length);
    expect(outside).toEqual([]);
  });
});
