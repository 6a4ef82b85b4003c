import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { watch } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { createDatabaseIfAbsent } from "../db/admin.ts";
import { withRole } from "../db/roles.ts";
import { EasyCron } from "../sdk/index.ts";
import { copyPreparedData } from "../test/support/copy-prepared-data.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { createKeys, type Keys, writeKeys } from "./keys.ts";
import type { Manifest } from "./manifest.ts";
import { identityOf } from "./processes.ts";
import { useNpmStart } from "./testing/npm-start.ts";

const npm = useNpmStart();

describe("npm start", { timeout: 60_000 }, () => {
  test("leaves no process running when it is killed with -9, finds its data at the next start, and then refuses another master key", async () => {
    await copyPreparedData(npm.dataDir);
    const first = npm.start();
    await first.sees(/^ready /m);
    const before = npm.readManifest();
    const pids = Object.values(before.pids).flat();
    expect(pids.length).toBe(5);
    first.child.kill("SIGKILL");
    // Its pipes close when the last of its children has ended.
    await first.ended;
    const second = npm.start();
    await second.sees(/^ready /m);
    expect(pids.filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
    expect(npm.readManifest()).toMatchObject({ apiKey: before.apiKey, project: before.project });
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
    expect(readdirSync(npm.dataDir).sort()).toEqual(["keys.json", "log", "postgres"]);

    const log = readFileSync(join(npm.dataDir, "log/dispatcher-0.log"), "utf8");
    const wanted = /"masterKeyId":"(mk_[0-9a-f]{16})"/.exec(log)?.[1];
    const path = join(npm.dataDir, "keys.json");
    const keys = JSON.parse(readFileSync(path, "utf8")) as Keys;
    writeKeys(path, { ...keys, masterKey: createKeys().masterKey });
    const [code, line] = await npm.failure();
    expect(code).toBe(2);
    expect(line).toMatch(/^easycron: dispatcher-0 ended with code 2: .*EASYCRON_MASTER_KEY is the key mk_/);
    expect(line).toContain(`sealed with the key ${wanted}.`);
    expect(existsSync(join(npm.dataDir, "dev.json"))).toBe(false);
    expect(npm.leftRunning()).toEqual([]);
  });

  test("ends with code 0 and leaves no process running when it is stopped while it creates PostgreSQL", async () => {
    mkdirSync(npm.dataDir);
    const { child, ended } = npm.start();
    for await (const { filename } of watch(npm.dataDir)) if (filename?.startsWith("postgres.new-")) break;
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(npm.leftRunning()).toEqual([]);
    expect(readdirSync(npm.dataDir).sort()).toEqual(["keys.json", "log"]);
  });

  test("ends with code 0 and leaves no process running when it is stopped while the services start", async () => {
    await copyPreparedData(npm.dataDir);
    const { child, ended, sees } = npm.start();
    await sees(/^targets /m);
    child.kill("SIGTERM");
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(npm.leftRunning()).toEqual([]);
    expect(readdirSync(npm.dataDir).sort()).toEqual(["keys.json", "log", "postgres"]);
  });

  test("uses the PostgreSQL of DATABASE_URL, beside another installation on it, whose logins still work", async () => {
    const postgres = await startPostgres();
    try {
      await createDatabaseIfAbsent(postgres.url, "beside");
      const url = new URL(postgres.url);
      url.pathname = "beside";
      const beside = npm.start({ DATABASE_URL: url.href, EASYCRON_DATA_DIR: join(npm.parent, "beside") });
      await beside.sees(/^ready /m);
      const readBeside = () =>
        JSON.parse(readFileSync(join(npm.parent, "beside/dev.json"), "utf8")) as Manifest;
      const { child, ended, sees } = npm.start({ DATABASE_URL: postgres.url });
      await sees(/^ready [\s\S]*^keys in .+, logs in /m);
      expect(Object.keys(npm.readManifest().pids).sort()).toEqual([
        "dispatcher",
        "gateway",
        "plugins",
        "scheduler",
      ]);
      expect(readFileSync(join(npm.dataDir, "keys.json"), "utf8")).not.toContain("databaseUrl");
      // A new process has to log in again.
      const killed = readBeside().pids.scheduler?.[0] ?? 0;
      process.kill(killed, "SIGKILL");
      await vi.waitFor(() => expect(readBeside().pids.scheduler?.[0]).not.toBe(killed), 10_000);
      const { url: gateway, apiKey } = readBeside();
      const client = new EasyCron({ url: gateway, apiKey });
      await vi.waitFor(() => client.raw.jobs.listJobs({ pageSize: 1 }), { timeout: 20_000, interval: 200 });
      child.kill("SIGINT");
      expect(await ended).toBe(0);
      beside.child.kill("SIGINT");
      expect(await beside.ended).toBe(0);
    } finally {
      await postgres.stop();
    }
  });
});

describe("npm start with the logins of an operator", { timeout: 60_000 }, () => {
  test("serves under them, and needs no right to make roles", async () => {
    const postgres = await startPostgres();
    const admin = new pg.Client({ connectionString: postgres.url });
    await admin.connect();
    try {
      await admin.query("create role owner login password 'o'");
      await admin.query("create database owned owner owner");
      const urlOf = (login: string) => {
        const url = new URL(postgres.url);
        url.pathname = "owned";
        return withRole(url.href, login, "o");
      };
      const env: Record<string, string> = { DATABASE_URL: urlOf("owner"), EASYCRON_ROLE_PREFIX: "mine" };
      expect(await npm.failure(env)).toEqual([1, expect.stringContaining('create role "mine_gateway";')]);
      for (const service of ["gateway", "scheduler", "dispatcher"]) {
        await admin.query(`create role mine_${service}`);
        await admin.query(`create role my_${service} login password 'o' in role mine_${service}`);
        env[`EASYCRON_${service.toUpperCase()}_DATABASE_URL`] = urlOf(`my_${service}`);
      }
      const { child, ended, sees } = npm.start(env);
      await sees(/^ready /m);
      const { rows } = await admin.query<{ user: string }>(
        "select distinct usename as user from pg_stat_activity where datname = 'owned' order by usename",
      );
      expect(rows.map(({ user }) => user)).toEqual(["my_dispatcher", "my_gateway", "my_scheduler"]);
      child.kill("SIGINT");
      expect(await ended).toBe(0);
    } finally {
      await admin.end();
      await postgres.stop();
    }
  });
});

describe("npm start fails with one line when", { timeout: 60_000 }, () => {
  test("the database cannot be reached, and the line does not show its password", async () => {
    const [code, line] = await npm.failure({ DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/d" });
    expect(code).toBe(1);
    expect(line).toMatch(/^easycron: The database of DATABASE_URL cannot be migrated: .*ECONNREFUSED/);
    expect(line).not.toContain("hunter2");
  });

  test("keys.json is damaged", async () => {
    await npm.failure({ DATABASE_URL: "postgres://127.0.0.1:1/d" });
    writeFileSync(join(npm.dataDir, "keys.json"), "{");
    expect(await npm.failure()).toEqual([
      1,
      expect.stringContaining(`${join(npm.dataDir, "keys.json")} is damaged`),
    ]);
    expect(readFileSync(join(npm.dataDir, "keys.json"), "utf8")).toBe("{");
  });

  test("keys.json is missing and the data is not", async () => {
    mkdirSync(join(npm.dataDir, "postgres"), { recursive: true });
    writeFileSync(join(npm.dataDir, "postgres/PG_VERSION"), "18\n");
    expect(await npm.failure()).toEqual([1, expect.stringContaining("keys.json is missing")]);
    expect(existsSync(join(npm.dataDir, "keys.json"))).toBe(false);
  });

  test("keys.json belongs to other data", async () => {
    await copyPreparedData(npm.dataDir);
    writeKeys(join(npm.dataDir, "keys.json"), createKeys());
    expect(await npm.failure()).toEqual([1, expect.stringMatching(/keys.json .* not the password/)]);
  });

  test("a service refuses a variable of its own, and ends with code 2", async () => {
    await copyPreparedData(npm.dataDir);
    const [code, line] = await npm.failure({ EASYCRON_SCHEDULER_TICK_MS: "soon" });
    expect(code).toBe(2);
    expect(line).toMatch(/^easycron: scheduler-0 ended with code 2: .*EASYCRON_SCHEDULER_TICK_MS is "soon"/);
    expect(npm.leftRunning()).toEqual([]);
  });
});
