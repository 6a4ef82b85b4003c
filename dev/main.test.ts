import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDatabaseIfAbsent } from "../db/admin.ts";
import { withRole } from "../db/roles.ts";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { EasyCron } from "../sdk/index.ts";
import { copyFolder } from "../test/support/copy-folder.ts";
import { copyPreparedData } from "../test/support/copy-prepared-data.ts";
import { JARS, whyNoTestKafka } from "../test/support/kafka.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { hasRedis } from "../test/support/redis.ts";
import { ensureJars } from "./kafka-jars.ts";
import { createKeys, type Keys, writeKeys } from "./keys.ts";
import type { Manifest } from "./manifest.ts";
import { clusterNameOf } from "./postgres.ts";
import { findProcesses, identityOf } from "./processes.ts";

let parent: string;
let dataDir: string;
const running: ChildProcess[] = [];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "easycron-main-"));
  dataDir = join(parent, "data");
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }
  rmSync(parent, { recursive: true });
});

/** Starts the supervisor as `npm start` does, but without npm. */
function start(env: Record<string, string> = {}, args: readonly string[] = []) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      EASYCRON_DATA_DIR: dataDir,
      EASYCRON_PORT: "0",
      EASYCRON_DEMO: "off",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.push(child);
  let output = "";
  let errors = "";
  const ended = once(child, "close").then(([code]) => code as number | null);
  const sees = (pattern: RegExp) =>
    new Promise<void>((done, fail) => {
      const look = () => pattern.test(output) && done();
      child.stdout.on("data", look);
      void ended.then((code) => fail(new Error(`ended with ${code}: ${errors}`)));
      look();
    });
  child.stdout.on("data", (text: Buffer) => {
    output += text;
  });
  child.stderr.on("data", (text: Buffer) => {
    errors += text;
  });
  return { child, ended, sees, errors: () => errors, output: () => output };
}

/** Returns the pids of PostgreSQL's processes on the folder, and of programs that create it. */
const leftRunning = () => [
  ...findProcesses(clusterNameOf(join(dataDir, "postgres"))),
  ...findProcesses(dataDir),
];

/** Returns the address of the plugins service, which only its log tells. */
function pluginsAddress(): string {
  const log = readFileSync(join(dataDir, "log/plugins-0.log"), "utf8");
  return `127.0.0.1:${/"port":(\d+)/.exec(log)?.[1]}`;
}

const readManifest = () => JSON.parse(readFileSync(join(dataDir, "dev.json"), "utf8")) as Manifest;

/** Starts the supervisor, expects it to fail with one line, and returns its exit code and that line. */
async function failure(
  env: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<[number | null, string]> {
  const { ended, errors } = start(env, args);
  const code = await ended;
  expect(errors().trimEnd().split("\n")).toHaveLength(1);
  return [code, errors().trimEnd()];
}

describe("npm start", { timeout: 60_000 }, () => {
  test("leaves no process running when it is killed with -9, and the next start finds its data", async () => {
    await copyPreparedData(dataDir);
    const first = start();
    await first.sees(/^ready /m);
    const before = readManifest();
    const pids = Object.values(before.pids).flat();
    expect(pids.length).toBe(5);
    first.child.kill("SIGKILL");
    // Its pipes close when the last of its children has ended.
    await first.ended;
    const second = start();
    await second.sees(/^ready /m);
    expect(pids.filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
    expect(readManifest()).toMatchObject({ apiKey: before.apiKey, project: before.project });
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
    expect(readdirSync(dataDir).sort()).toEqual(["keys.json", "log", "postgres"]);
  });

  test("ends with code 0 and leaves no process running when it is stopped while it creates PostgreSQL", async () => {
    mkdirSync(dataDir);
    const { child, ended } = start();
    for await (const { filename } of watch(dataDir)) if (filename?.startsWith("postgres.new-")) break;
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(leftRunning()).toEqual([]);
    expect(readdirSync(dataDir).sort()).toEqual(["keys.json", "log"]);
  });

  test("ends with code 0 and leaves no process running when it is stopped while the services start", async () => {
    await copyPreparedData(dataDir);
    const { child, ended, sees } = start();
    await sees(/^targets /m);
    child.kill("SIGTERM");
    child.kill("SIGINT");
    expect(await ended).toBe(0);
    expect(leftRunning()).toEqual([]);
    expect(readdirSync(dataDir).sort()).toEqual(["keys.json", "log", "postgres"]);
  });

  test("uses the PostgreSQL of DATABASE_URL, beside another installation on it, whose logins still work", async () => {
    const postgres = await startPostgres();
    try {
      await createDatabaseIfAbsent(postgres.url, "beside");
      const url = new URL(postgres.url);
      url.pathname = "beside";
      const beside = start({ DATABASE_URL: url.href, EASYCRON_DATA_DIR: join(parent, "beside") });
      await beside.sees(/^ready /m);
      const readBeside = () => JSON.parse(readFileSync(join(parent, "beside/dev.json"), "utf8")) as Manifest;
      const { child, ended, sees } = start({ DATABASE_URL: postgres.url });
      await sees(/^ready [\s\S]*^keys in .+, logs in /m);
      expect(Object.keys(readManifest().pids).sort()).toEqual([
        "dispatcher",
        "gateway",
        "plugins",
        "scheduler",
      ]);
      expect(readFileSync(join(dataDir, "keys.json"), "utf8")).not.toContain("databaseUrl");
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

const hasKafka = whyNoTestKafka() === undefined;
const hasBoth = hasRedis() && hasKafka;
if (!hasBoth)
  process.stderr.write("The test of npm start -- --with redis,kafka is skipped: it needs both.\n");

describe("npm start -- --with redis,kafka", { timeout: 180_000 }, () => {
  test.runIf(hasBoth)(
    "runs both, restarts one that is killed, gives them to the plugins service, and stops them",
    async () => {
      await copyPreparedData(dataDir);
      await ensureJars(JARS);
      await copyFolder(JARS, join(dataDir, "kafka-jars"));
      const first = start({}, ["--with", "redis,kafka"]);
      await first.sees(/^ready /m);
      expect(first.output()).toMatch(
        /^Redis for the plugin listens on 127\.0\.0\.1:\d+; its data is in .*redis$/m,
      );
      expect(first.output()).toMatch(
        /^Kafka for the plugin listens on 127\.0\.0\.1:\d+; its data is in .*kafka$/m,
      );
      const plugins = createGrpcClient(PluginsService, { addresses: [pluginsAddress()], deadlineMs: 10_000 });
      const problems = async () =>
        (await plugins.describePlugins({})).offers.map(({ kind, problem }) => [kind, problem]);
      expect(await problems()).toEqual(expect.arrayContaining([[PluginKind.REDIS, ""]]));
      const killed = readManifest().pids.redis?.[0] ?? 0;
      process.kill(killed, "SIGKILL");
      await first.sees(/^redis was ended by SIGKILL; restarting it in 100 ms$/m);
      await vi.waitFor(() => expect(readManifest().pids.redis?.[0]).not.toBe(killed), 10_000);
      await vi.waitFor(
        async () => expect(await problems()).toEqual(expect.arrayContaining([[PluginKind.REDIS, ""]])),
        {
          timeout: 20_000,
          interval: 200,
        },
      );
      plugins.close();
      const pids = Object.values(readManifest().pids).flat();
      expect(pids).toHaveLength(7);
      first.child.kill("SIGTERM");
      expect(await first.ended).toBe(0);
      expect(pids.filter((pid) => identityOf(pid) !== undefined)).toEqual([]);
      expect(readdirSync(dataDir).sort()).toEqual([
        "kafka",
        "kafka-jars",
        "keys.json",
        "log",
        "postgres",
        "redis",
      ]);
    },
  );

  test.runIf(hasRedis())("keeps the password, and the port if it is free, for the next start", async () => {
    await copyPreparedData(dataDir);
    const lines: (string | undefined)[] = [];
    for (let each = 0; each < 2; each++) {
      const { child, ended, sees, output } = start({}, ["--with=redis"]);
      await sees(/^ready /m);
      lines.push(/^Redis for the plugin.*$/m.exec(output())?.[0]);
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    }
    expect(lines[0]).toBeDefined();
    expect(lines[1]).toBe(lines[0]);
  });

  test("says in one line what is missing and how to install it, ends with code 2, and starts nothing", async () => {
    const [code, line] = await failure({ PATH: join(parent, "empty") }, ["--with", "redis,kafka"]);
    expect(code).toBe(2);
    expect(line).toMatch(/no redis-server.*apt-get install redis-server.*brew install redis/);
    expect(line).toMatch(/Kafka needs Java 17.*apt-get install.*maven.*brew install/);
    expect(existsSync(dataDir)).toBe(false);
  });

  test("refuses a name that it does not know, ends with code 2, and starts nothing", async () => {
    const [code, line] = await failure({}, ["--with", "redis,mongo"]);
    expect(code).toBe(2);
    expect(line).toBe(
      'easycron: --with names "mongo"; npm start accepts --with redis,kafka (one of them or both).',
    );
    expect(existsSync(dataDir)).toBe(false);
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
      expect(await failure(env)).toEqual([1, expect.stringContaining('create role "mine_gateway";')]);
      for (const service of ["gateway", "scheduler", "dispatcher"]) {
        await admin.query(`create role mine_${service}`);
        await admin.query(`create role my_${service} login password 'o' in role mine_${service}`);
        env[`EASYCRON_${service.toUpperCase()}_DATABASE_URL`] = urlOf(`my_${service}`);
      }
      const { child, ended, sees } = start(env);
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
    const [code, line] = await failure({ DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/d" });
    expect(code).toBe(1);
    expect(line).toMatch(/^easycron: The database of DATABASE_URL cannot be migrated: .*ECONNREFUSED/);
    expect(line).not.toContain("hunter2");
  });

  test("keys.json is damaged", async () => {
    await failure({ DATABASE_URL: "postgres://127.0.0.1:1/d" });
    writeFileSync(join(dataDir, "keys.json"), "{");
    expect(await failure()).toEqual([1, expect.stringContaining(`${join(dataDir, "keys.json")} is damaged`)]);
    expect(readFileSync(join(dataDir, "keys.json"), "utf8")).toBe("{");
  });

  test("keys.json is missing and the data is not", async () => {
    mkdirSync(join(dataDir, "postgres"), { recursive: true });
    writeFileSync(join(dataDir, "postgres/PG_VERSION"), "18\n");
    expect(await failure()).toEqual([1, expect.stringContaining("keys.json is missing")]);
    expect(existsSync(join(dataDir, "keys.json"))).toBe(false);
  });

  test("keys.json belongs to other data", async () => {
    await copyPreparedData(dataDir);
    writeKeys(join(dataDir, "keys.json"), createKeys());
    expect(await failure()).toEqual([1, expect.stringMatching(/keys.json .* not the password/)]);
  });

  test("the master key is not the database's, and names the key that is wanted", async () => {
    await copyPreparedData(dataDir);
    const first = start();
    await first.sees(/^ready /m);
    const log = readFileSync(join(dataDir, "log/dispatcher-0.log"), "utf8");
    const wanted = /"masterKeyId":"(mk_[0-9a-f]{16})"/.exec(log)?.[1];
    first.child.kill("SIGTERM");
    await first.ended;
    const path = join(dataDir, "keys.json");
    const keys = JSON.parse(readFileSync(path, "utf8")) as Keys;
    writeKeys(path, { ...keys, masterKey: createKeys().masterKey });
    const [code, line] = await failure();
    expect(code).toBe(2);
    expect(line).toMatch(/^easycron: dispatcher-0 ended with code 2: .*EASYCRON_MASTER_KEY is the key mk_/);
    expect(line).toContain(`sealed with the key ${wanted}.`);
    expect(existsSync(join(dataDir, "dev.json"))).toBe(false);
    expect(leftRunning()).toEqual([]);
  });

  test("a service refuses a variable of its own, and ends with code 2", async () => {
    await copyPreparedData(dataDir);
    const [code, line] = await failure({ EASYCRON_SCHEDULER_TICK_MS: "soon" });
    expect(code).toBe(2);
    expect(line).toMatch(/^easycron: scheduler-0 ended with code 2: .*EASYCRON_SCHEDULER_TICK_MS is "soon"/);
    expect(leftRunning()).toEqual([]);
  });
});
