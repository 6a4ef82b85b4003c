import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import type { Manifest } from "../manifest.ts";
import { clusterNameOf } from "../postgres.ts";
import { findProcesses } from "../processes.ts";

/** Gives each test of a file folders of its own, and functions that run `npm start` there. What still runs is stopped. */
export function useNpmStart() {
  const folders = { parent: "", dataDir: "" };
  const running: ChildProcess[] = [];

  beforeEach(() => {
    folders.parent = mkdtempSync(join(tmpdir(), "easycron-main-"));
    folders.dataDir = join(folders.parent, "data");
  });
  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folders.parent, { recursive: true });
  });

  /** Starts the supervisor as `npm start` does, but without npm. */
  function start(env: Record<string, string> = {}, args: readonly string[] = []) {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../main.ts"), ...args], {
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        EASYCRON_DATA_DIR: folders.dataDir,
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
    ...findProcesses(clusterNameOf(join(folders.dataDir, "postgres"))),
    ...findProcesses(folders.dataDir),
  ];

  /** Returns the address of the plugins service, which only its log tells. */
  function pluginsAddress(): string {
    const log = readFileSync(join(folders.dataDir, "log/plugins-0.log"), "utf8");
    return `127.0.0.1:${/"port":(\d+)/.exec(log)?.[1]}`;
  }

  const readManifest = () => JSON.parse(readFileSync(join(folders.dataDir, "dev.json"), "utf8")) as Manifest;

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

  return {
    /** Holds nothing but the data directory. */
    get parent() {
      return folders.parent;
    },
    /** Does not exist before the first start. */
    get dataDir() {
      return folders.dataDir;
    },
    start,
    failure,
    leftRunning,
    pluginsAddress,
    readManifest,
  };
}
