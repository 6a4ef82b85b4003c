import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { DatabaseRole } from "../db/roles.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";

const root = resolve(import.meta.dirname, "..");
const SERVICES = ["gateway", "scheduler", "dispatcher"] as const;
/** Nobody listens there. A service that refuses to start calls nobody. */
const NOBODY = "127.0.0.1:1";
/** What the processes inherit. With the cache, each starts 0.4 s of CPU time sooner. */
const INHERITED = { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE };
const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const sql = async (text: string, connectionString = database.url()) => {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
};

/** Starts a service on the database, and resolves when it has ended by itself. */
async function runService(service: DatabaseRole, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const own = {
    gateway: {
      EASYCRON_GATEWAY_LISTEN: "127.0.0.1:0",
      EASYCRON_SCHEDULER_ADDRESSES: NOBODY,
      EASYCRON_DISPATCHER_ADDRESSES: NOBODY,
      EASYCRON_OPERATOR_KEY_HASH: "0".repeat(64),
    },
    scheduler: { EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0", EASYCRON_DISPATCHER_ADDRESSES: NOBODY },
    dispatcher: {
      EASYCRON_DISPATCHER_LISTEN: "127.0.0.1:0",
      EASYCRON_PLUGINS_ADDRESSES: NOBODY,
      EASYCRON_MASTER_KEY: MASTER_KEY,
    },
  }[service];
  const child = spawn(process.execPath, [`${service}/main.ts`], {
    cwd: root,
    env: { ...INHERITED, DATABASE_URL: database.url(service), ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { output: "", errors: "" };
  child.stdout.on("data", (text: Buffer) => {
    texts.output += text;
    // A service that serves would never end.
    if (texts.output.includes('"serving"')) child.kill("SIGKILL");
  });
  child.stderr.on("data", (text: Buffer) => {
    texts.errors += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...texts };
}

/** Runs `npm run migrate` without npm. */
async function runMigrate(connectionString: string): Promise<Ended> {
  const run = promisify(execFile)(process.execPath, ["dev/migrate.ts"], {
    cwd: root,
    env: { ...INHERITED, DATABASE_URL: connectionString },
  });
  const { stdout, stderr, code } = await run.then(
    (texts) => ({ ...texts, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  return { code, output: stdout, errors: stderr };
}

/** Expects one line on stderr that matches, exit code 2, and nothing served. */
function expectRefusal({ code, output, errors }: Ended, line: RegExp): void {
  expect(errors.trim()).toMatch(line);
  expect(errors.trim().split("\n")).toHaveLength(1);
  expect(output).not.toContain("serving");
  expect(code).toBe(2);
}

/** Expects every service to refuse to start, with a line that matches. */
async function expectRefusals(line: RegExp): Promise<void> {
  const all = await Promise.all(SERVICES.map((service) => runService(service)));
  for (const ended of all) expectRefusal(ended, line);
}

describe("every service refuses in one line, with exit code 2, to serve on a database", () => {
  test("that has no tables", async () => {
    await sql("alter table public.easycron_migrations rename to elsewhere");
    try {
      await expectRefusals(/no tables of EasyCron.*npm run migrate/);
    } finally {
      await sql("alter table public.elsewhere rename to easycron_migrations");
    }
  });

  test("that lacks a migration, and does not migrate it", async () => {
    const last = "(select max(number) from public.easycron_migrations)";
    await sql(`create table public.kept as select * from public.easycron_migrations where number = ${last}`);
    await sql(`delete from public.easycron_migrations where number = ${last}`);
    const count = "select count(*) from public.easycron_migrations";
    const before = await sql(count);
    try {
      await expectRefusals(/its last migration is 00\d\d_.*needs 00\d\d_.*npm run migrate/);
      expect((await sql(count)).rows).toEqual(before.rows);
    } finally {
      await sql("insert into public.easycron_migrations select * from public.kept");
      await sql("drop table public.kept");
    }
  });

  test("that a newer version has migrated", async () => {
    await sql("insert into public.easycron_migrations values (9999, '9999_future.sql', 'x')");
    try {
      await expectRefusals(/9999_future\.sql.*newer version/);
    } finally {
      await sql("delete from public.easycron_migrations where number = 9999");
    }
  });

  test("of an earlier version, in which its role may not read the migrations", async () => {
    const roles = SERVICES.map((service) => `easycron_${service}`).join(", ");
    await sql(`revoke select on public.easycron_migrations from ${roles}`);
    try {
      await expectRefusals(/may not read public\.easycron_migrations.*npm run migrate/);
    } finally {
      await sql(`grant select on public.easycron_migrations to ${roles}`);
    }
  });
});

describe("a dispatcher with another master key than the database's", () => {
  test("refuses to start, and names the key that is wanted", async () => {
    const otherKey = Buffer.alloc(32, 8).toString("base64");
    // The first dispatcher records its key. Then it ends, because it may not read the table of the leases.
    await sql("revoke all on dispatcher.instances from easycron_dispatcher");
    const first = await runService("dispatcher", { EASYCRON_MASTER_KEY: otherKey });
    expect(first.errors).toMatch(/instances/);
    const { rows } = await sql("select key_id from dispatcher.master_key");
    const [{ key_id: wanted }] = rows as [{ key_id: string }];
    expectRefusal(
      await runService("dispatcher"),
      new RegExp(`EASYCRON_MASTER_KEY is the key mk_[0-9a-f]{16}, .* with the key ${wanted}\\.`),
    );
  });
});

describe("npm run migrate", () => {
  test("migrates an empty database, and says what it did", async () => {
    const { url } = inject("easycronPostgres");
    const empty = new URL(url);
    empty.pathname = "migrated_by_hand";
    await sql("create database migrated_by_hand", url);
    try {
      const first = await runMigrate(empty.href);
      expect(first).toMatchObject({ code: 0, errors: "" });
      expect(first.output).toMatch(
        /^The database is migrated to 00\d\d_\w+\.sql \(applied \d+\)\. .*easycron_migrated_by_hand_gateway/,
      );
      const second = await runMigrate(empty.href);
      expect(second.output).toMatch(/\(nothing to do\)\./);
    } finally {
      await sql("drop database migrated_by_hand with (force)", url);
      for (const service of SERVICES) await sql(`drop role easycron_migrated_by_hand_${service}`, url);
    }
  });

  test("says in one line that DATABASE_URL is missing, or that the database cannot be reached or is newer", async () => {
    const unreachable = "postgres://postgres@127.0.0.1:1/x";
    await sql("insert into public.easycron_migrations values (9999, '9999_future.sql', 'x')");
    try {
      for (const [connectionString, code, line] of [
        ["", 2, /DATABASE_URL is not set/],
        [unreachable, 1, /cannot be migrated: .*ECONNREFUSED/],
        [database.url(), 1, /9999_future\.sql.*newer version/],
      ] as const) {
        const ended = await runMigrate(connectionString);
        expect(ended.errors.trim()).toMatch(line);
        expect(ended.errors.trim().split("\n")).toHaveLength(1);
        expect(ended.code).toBe(code);
      }
    } finally {
      await sql("delete from public.easycron_migrations where number = 9999");
    }
  });
});
