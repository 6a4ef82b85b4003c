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
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { copyPreparedData } from "../test/support/copy-prepared-data.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { createKeys, writeKeys } from "./keys.ts";
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
function start(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
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
  return { child, ended, sees, errors: () => errors };
}

/** Returns the pids of PostgreSQL's processes on the folder, and of programs that create it. */
const leftRunning = () => [
  ...findProcesses(clusterNameOf(join(dataDir, "postgres"))),
  ...findProcesses(dataDir),
];

const readManifest = () => JSON.parse(readFileSync(join(dataDir, "dev.json"), "utf8")) as Manifest;

/** Starts the supervisor, expects it to fail with one line, and returns its exit code and that line. */
async function failure(env: Record<string, string> = {}): Promise<[number | null, string]> {
  const { ended, errors } = start(env);
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

  test("uses the PostgreSQL of DATABASE_URL", async () => {
    const postgres = await startPostgres();
    try {
      const { child, ended, sees } = start({ DATABASE_URL: postgres.url });
      await sees(/^ready [\s\S]*^keys in .+, logs in /m);
      expect(Object.keys(readManifest().pids).sort()).toEqual([
        "dispatcher",
        "gateway",
        "plugins",
        "scheduler",
      ]);
      expect(readFileSync(join(dataDir, "keys.json"), "utf8")).not.toContain("databaseUrl");
      child.kill("SIGINT");
      expect(await ended).toBe(0);
    } finally {
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

  test("a service refuses a variable of its own, and ends with code 2", async () => {
    await copyPreparedData(dataDir);
    const [code, line] = await failure({ EASYCRON_SCHEDULER_TICK_MS: "soon" });
    expect(code).toBe(2);
    expect(line).toMatch(/^easycron: scheduler-0 ended with code 2: .*EASYCRON_SCHEDULER_TICK_MS is "soon"/);
    expect(leftRunning()).toEqual([]);
  });
});
