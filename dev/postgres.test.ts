import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { copyFolder } from "../test/support/copy-folder.ts";
import { findFreePorts } from "./ports.ts";
import { ensureDatabase, type Postgres, type PostgresOptions, startPostgres } from "./postgres.ts";
import { findProcesses, identityOf } from "./processes.ts";
import { StartError } from "./start-error.ts";

/** Holds a folder that startPostgres created, and nobody uses. */
let prepared: string;
let parent: string;
let folder: string;
const started: Postgres[] = [];

beforeAll(async () => {
  prepared = await mkdtemp(join(tmpdir(), "easycron-postgres-prepared-"));
  const made = await start({ folder: join(prepared, "postgres") });
  await made.stop();
});
afterAll(() => rm(prepared, { recursive: true }));
beforeEach(async () => {
  // Only its owner may enter it, as in a checkout or a data directory made by mktemp.
  parent = await mkdtemp(join(tmpdir(), "easycron-postgres-test-"));
  folder = join(parent, "postgres");
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((postgres) => postgres.stop()));
  await rm(parent, { recursive: true });
});

async function start(overrides: Partial<PostgresOptions> = {}): Promise<Postgres> {
  const [port = 0] = await findFreePorts(1);
  const postgres = await startPostgres({ folder, password: "a b/c", port, durable: false, ...overrides });
  started.push(postgres);
  return postgres;
}

/** Makes the folder as an earlier start would leave it, but in a tenth of the time. */
const copyPrepared = () => copyFolder(join(prepared, "postgres"), folder);

/** Runs statements one after the other and returns the first column of the last one's rows. */
async function query(postgres: Postgres, database: string, ...statements: string[]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: postgres.url(database) });
  await client.connect();
  try {
    let rows: { value: unknown }[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows.map((row) => row.value);
  } finally {
    await client.end();
  }
}

describe("an embedded PostgreSQL", () => {
  test("keeps its data between runs, even when it was killed", async () => {
    const first = await start();
    await ensureDatabase(first, "easycron");
    await ensureDatabase(first, "easycron");
    await query(first, "easycron", "create table t (value int)", "insert into t values (1)");
    process.kill(first.supervised.pid() ?? 0, "SIGKILL");
    await first.stop();
    const second = await start();
    expect(await query(second, "easycron", "select value from t")).toEqual([1]);
  });

  test("is restarted on the same port when it is killed", async () => {
    await copyPrepared();
    const ended = Promise.withResolvers<void>();
    const postgres = await start({ onEvent: ({ kind }) => kind === "ended" && ended.resolve() });
    await query(postgres, "postgres", "create table t (value int)", "insert into t values (7)");
    process.kill(postgres.supervised.pid() ?? 0, "SIGKILL");
    await ended.promise;
    await postgres.supervised.untilReady();
    expect(await query(postgres, "postgres", "select value from t")).toEqual([7]);
  });

  test.each([
    ["stops when its supervisor is killed", true],
    ["is stopped by the next start when a killed supervisor left it running", false],
  ])("%s", async (_name, watched) => {
    await copyPrepared();
    const holder = holdPostgres();
    const [line] = (await once(holder.stdout, "data")) as [Buffer];
    const pid = Number(line);
    expect(identityOf(pid)).toBeDefined();
    const watchers = findProcesses(`kill -INT "$1" sh ${pid}`);
    expect(watchers.length).toBe(1);
    if (!watched) for (const watcher of watchers) process.kill(watcher, "SIGKILL");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    const next = await start();
    expect(identityOf(pid)).toBeUndefined();
    expect(await query(next, "postgres", "select 1 as value")).toEqual([1]);
  });

  /** Starts a process that starts PostgreSQL on the same folder, prints its pid, and does nothing more. */
  function holdPostgres() {
    const program = `
      import { findFreePorts } from "${import.meta.dirname}/ports.ts";
      import { startPostgres } from "${import.meta.dirname}/postgres.ts";
      const [port] = await findFreePorts(1);
      const options = { folder: ${JSON.stringify(folder)}, password: "a b/c", port, durable: false };
      const postgres = await startPostgres(options);
      console.log(postgres.supervised.pid());
    `;
    return spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  }
});

describe("starting PostgreSQL on a folder", () => {
  test("that has other files in it fails with one line and changes nothing", async () => {
    await mkdir(folder);
    await writeFile(join(folder, "precious"), "data");
    await expect(start()).rejects.toThrow(`${folder} is damaged: it is not empty and has no PG_VERSION.`);
    expect(await readdir(folder)).toEqual(["precious"]);
  });

  test("of another major version fails and names both versions", async () => {
    await mkdir(folder);
    await writeFile(join(folder, "PG_VERSION"), "17\n");
    await expect(start()).rejects.toThrow(
      `${folder} was made by PostgreSQL "17", and this is PostgreSQL 18.`,
    );
  });

  test.each(["global/pg_control", "pg_wal", "postgresql.conf"])(
    "that lacks %s fails with one line",
    async (part) => {
      await copyPrepared();
      await rm(join(folder, part), { recursive: true });
      const failure = await start().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StartError);
      expect(String(failure)).toMatch(/PostgreSQL cannot start on .*: .+ Restore the folder from a backup/);
      expect(String(failure).split("\n").length).toBe(1);
    },
  );

  test("that lacks its tables fails when the database is created", async () => {
    await copyPrepared();
    await rm(join(folder, "base"), { recursive: true });
    const failure = start().then((postgres) => ensureDatabase(postgres, "easycron"));
    await expect(failure).rejects.toThrow(/^PostgreSQL's files are damaged: .+\. Restore the folder/);
  });

  test("that a killed start left half-made creates the folder again", async () => {
    await mkdir(`${folder}.new-1`);
    await writeFile(join(`${folder}.new-1`, "half"), "");
    await chmod(`${folder}.new-1`, 0o755);
    const postgres = await start();
    expect(await query(postgres, "postgres", "select 1 as value")).toEqual([1]);
    expect((await readdir(parent)).sort()).toEqual(["postgres"]);
  });
});
