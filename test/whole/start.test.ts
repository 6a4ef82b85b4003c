import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { on } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { findFreePorts } from "../../dev/ports.ts";
import { startPostgres } from "../../dev/postgres.ts";
import { EasyCron } from "../../sdk/index.ts";
import { copyPreparedData } from "../support/copy-prepared-data.ts";
import { PREPARED_DATABASE, PREPARED_PASSWORDS } from "../support/prepared-data.ts";

const root = resolve(import.meta.dirname, "../..");

interface Running {
  readonly child: ChildProcess;
  readonly folder: string;
  output(): string;
  errors(): string;
  /** Resolves with the first match of a pattern on stdout. */
  sees(pattern: RegExp): Promise<RegExpExecArray>;
  readonly exited: Promise<number | null>;
  stop(): Promise<number | null>;
}

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "easycron-start-"));
  chmodSync(folder, 0o755);
  cleanups.push(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder in which PostgreSQL and its migrated database are already made. */
async function preparedFolder(): Promise<string> {
  const folder = newFolder();
  await copyPreparedData(folder);
  return folder;
}

function start(folder: string, env: Record<string, string> = {}): Running {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("EASYCRON_")),
  );
  const child = spawn("npm", ["start", "--silent"], {
    cwd: root,
    env: { ...clean, EASYCRON_DATA_DIR: folder, EASYCRON_PORT: "0", ...env },
    detached: true,
  });
  let output = "";
  let errors = "";
  const listeners = new Set<() => void>();
  child.stdout.on("data", (text: Buffer) => {
    output += text;
    for (const listener of listeners) listener();
  });
  child.stderr.on("data", (text: Buffer) => {
    errors += text;
  });
  const exited = new Promise<number | null>((done) => child.once("exit", done));
  const running: Running = {
    child,
    folder,
    output: () => output,
    errors: () => errors,
    exited,
    sees: (pattern) =>
      new Promise((found, fail) => {
        const look = () => {
          const match = pattern.exec(output);
          if (match !== null) {
            listeners.delete(look);
            found(match);
          }
        };
        listeners.add(look);
        void exited.then((code) =>
          fail(new Error(`ended with ${code} before ${pattern}:\n${output}\n${errors}`)),
        );
        look();
      }),
    stop: () => {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGINT");
      return exited;
    },
  };
  cleanups.push(() => running.stop());
  return running;
}

interface Manifest {
  readonly url: string;
  readonly apiKey: string;
  readonly signingSecret: string;
  readonly project: string;
  readonly pids: Readonly<Record<string, readonly number[]>>;
}

const manifestOf = (folder: string) => JSON.parse(readFileSync(join(folder, "dev.json"), "utf8")) as Manifest;

/** Resolves when dev.json says what is wanted; it is read again whenever a file of the folder changes. */
async function untilManifest(folder: string, wanted: (manifest: Manifest) => boolean): Promise<void> {
  const changes = watch(folder);
  const iterator = on(changes, "change");
  try {
    while (!wanted(manifestOf(folder))) await iterator.next();
  } finally {
    changes.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("npm start", () => {
  test("prints verified demo triggers, stops cleanly, finds its data again, and prints an example whose job fires", async () => {
    const folder = newFolder();
    const first = start(folder);
    const [, url] = await first.sees(/^ready (http:\/\/127\.0\.0\.1:\d+)/m);
    expect(statSync(join(folder, "dev.json")).mode & 0o777).toBe(0o600);
    const manifest = manifestOf(folder);
    expect(manifest).toMatchObject({
      url,
      signingSecret: expect.stringMatching(/^whsec_/),
      project: expect.stringMatching(/^proj_/),
    });
    const pids = Object.values(manifest.pids).flat();
    expect(Object.keys(manifest.pids)).toEqual(
      expect.arrayContaining(["gateway", "scheduler", "dispatcher", "plugins"]),
    );
    expect(pids.every(isAlive)).toBe(true);
    await first.sees(/verified.*demo.*/i);
    const client = new EasyCron({ url: manifest.url, apiKey: manifest.apiKey });
    const { job } = await client.raw.jobs.getJob({ name: "demo" });
    expect(await first.stop()).toBe(0);
    expect(existsSync(join(folder, "dev.json"))).toBe(false);
    expect(pids.filter(isAlive)).toEqual([]);

    const second = start(folder);
    await second.sees(/^ready /m);
    const [, data, logs = ""] = await second.sees(
      /^data in (.+), logs in (.+); Ctrl-C stops everything and keeps the data$/m,
    );
    expect([data, logs]).toEqual([folder, join(folder, "log")]);
    expect(existsSync(join(logs, "scheduler-0.log"))).toBe(true);
    const again = manifestOf(folder);
    expect(again).toMatchObject({
      apiKey: manifest.apiKey,
      signingSecret: manifest.signingSecret,
      project: manifest.project,
    });
    const found = await new EasyCron({ url: again.url, apiKey: again.apiKey }).raw.jobs.getJob({
      name: "demo",
    });
    expect(found.job?.uid).toBe(job?.uid);
    const [example] = await second.sees(/^ {2}KEY=[\s\S]+? {6}\} \}'$/m);
    if (spawnSync("curl", ["--version"]).error === undefined) {
      spawnSync("sh", { input: example });
      await second.sees(/^verified my-first-job, due /m);
    } else console.warn("curl is not installed, so the example that npm start prints is not run.");
    expect(await second.stop()).toBe(0);
  });

  test("restarts a killed service and updates dev.json, and refuses its data folder to another process", async () => {
    const folder = await preparedFolder();
    const running = start(folder, { EASYCRON_DEMO: "off", EASYCRON_SCHEDULERS: "2" });
    await running.sees(/^ready /m);
    const before = manifestOf(folder).pids.scheduler ?? [];
    expect(before).toHaveLength(2);
    process.kill(before[0] ?? 0, "SIGKILL");
    await untilManifest(folder, ({ pids }) => pids.scheduler?.[0] !== before[0]);
    expect(manifestOf(folder).pids.scheduler?.[1]).toBe(before[1]);
    const other = start(folder, { EASYCRON_DEMO: "off" });
    expect(await other.exited).toBe(1);
    expect(other.errors().trim().split("\n")).toHaveLength(1);
    const { url, apiKey } = manifestOf(folder);
    await new EasyCron({ url, apiKey }).raw.jobs.listJobs({});
    expect(await running.stop()).toBe(0);
  });

  test("refuses a port in use, a folder it cannot write, corrupt data and invalid variables, each in one line", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await new Promise((done) => server.once("listening", done));
    const port = String((server.address() as net.AddressInfo).port);
    const corrupt = await preparedFolder();
    const version = ["postgres", "data", "pgdata"]
      .map((name) => join(corrupt, name, "PG_VERSION"))
      .find(existsSync);
    writeFileSync(version ?? "", "9.1\n");
    const file = join(newFolder(), "file");
    writeFileSync(file, "");
    const cases: [Running, number, RegExp][] = [
      [start(newFolder(), { EASYCRON_PORT: port }), 1, new RegExp(port)],
      [start(join(file, "below")), 1, /below/],
      [start(corrupt), 1, new RegExp(corrupt)],
      [start(newFolder(), { EASYCRON_PORT: "x" }), 2, /EASYCRON_PORT/],
      [start(newFolder(), { EASYCRON_TYPO: "1" }), 2, /EASYCRON_TYPO/],
    ];
    for (const [running, code, line] of cases) {
      expect(await running.exited).toBe(code);
      expect(running.errors()).toMatch(line);
      expect(running.errors().trim().split("\n")).toHaveLength(1);
      expect(existsSync(join(running.folder, "dev.json"))).toBe(false);
    }
    server.close();
  });

  test("refuses a database of a newer version and changes nothing in it", async () => {
    const folder = await preparedFolder();
    const [port = 0] = await findFreePorts(1);
    const password = PREPARED_PASSWORDS.postgres;
    const postgres = await startPostgres({
      folder: join(folder, "postgres"),
      password,
      port,
      durable: false,
    });
    const client = new pg.Client({ connectionString: postgres.url(PREPARED_DATABASE) });
    await client.connect();
    await client.query(
      "insert into public.easycron_migrations (number, name, checksum) values (9999, '9999_future.sql', 'x')",
    );
    await client.end();
    await postgres.stop();
    const second = start(folder, { EASYCRON_DEMO: "off" });
    expect(await second.exited).toBe(1);
    expect(second.errors()).toMatch(/9999_future/);
    expect(second.errors().trim().split("\n")).toHaveLength(1);
  });
});
