import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findProcesses, signal } from "./processes.ts";
import { StartError } from "./start-error.ts";
import { stopWhenWeDie } from "./stop-when-we-die.ts";
import type { Program } from "./supervisor.ts";

/** Options of a local Redis. */
export interface RedisServerOptions {
  /** The folder of its files, created if it does not exist. Its parent must exist and be writable. */
  readonly folder: string;
  /** The port on 127.0.0.1. */
  readonly port: number;
  /** The password of the user "admin". The default user is off. */
  readonly adminPassword: string;
  /** Called with each line that the server writes. */
  readonly onLine?: (line: string) => void;
  /** Further arguments, such as `["--maxmemory", "16mb"]`. They override the configuration. */
  readonly args?: readonly string[];
}

/** A running Redis or Valkey. It is not restarted when it ends. */
export interface RedisServer {
  /** The administrator's connection string. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Kills it with -9. Resolves when it is gone. */
  kill9(): Promise<void>;
  /** Ends it in an orderly way, or kills it after 5 s. Resolves when it is gone. */
  stop(): Promise<void>;
}

const STOP_GRACE_MS = 5_000;
const READY_WITHIN_MS = 30_000;

/**
 * Starts `redis-server` or `valkey-server` from PATH on its folder and waits until it accepts connections. Before that,
 * it kills a server that a killed process left running on the folder. The server keeps its data in the folder, so it can
 * be started again there. Throws a StartError when there is no such program, when it is older than 7.0, or when it cannot
 * start.
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const lines: string[] = [];
  const program = toRedisProgram({
    ...options,
    onLine: (line) => {
      lines.push(line);
      options.onLine?.(line);
    },
  });
  const child = program.start();
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.on("error", () => {});
  const isReady = await new Promise<boolean>((resolve) => {
    const tooLate = setTimeout(() => resolve(false), READY_WITHIN_MS);
    const settle = (ready: boolean) => {
      clearTimeout(tooLate);
      resolve(ready);
    };
    program.watchReady(child, () => settle(true));
    child.once("close", () => settle(false));
  });
  if (!isReady) {
    child.kill("SIGKILL");
    throw new StartError(
      `Redis cannot start on ${options.folder}: ${toProblem(lines)}. Free the port ${options.port} or move the folder away.`,
    );
  }
  const end = async (first: NodeJS.Signals) => {
    child.kill(first);
    const kill = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
    await ended;
    clearTimeout(kill);
  };
  return {
    url: redisUrl(options),
    port: options.port,
    pid: child.pid ?? 0,
    kill9: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
  };
}

/** Returns the administrator's connection string to the local Redis with these options. */
export function redisUrl({
  adminPassword,
  port,
}: Pick<RedisServerOptions, "adminPassword" | "port">): string {
  return `redis://admin:${encodeURIComponent(adminPassword)}@127.0.0.1:${port}`;
}

/** Returns the local Redis with these options as a program for a supervisor. Throws as `startRedisServer` does. */
export function toRedisProgram(options: RedisServerOptions): Program {
  const { command } = findRedisServer();
  const { folder } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "redis.conf");
  return {
    name: "redis",
    start: () => {
      killLeftOvers(file);
      writeFileSync(file, toConfiguration(options), { mode: 0o600 });
      const child = spawn(command, [file, ...(options.args ?? [])], {
        cwd: folder,
        env: { LC_ALL: "C", TZ: "UTC" },
        stdio: ["ignore", "pipe", "pipe"],
        // Ctrl-C must reach the supervisor only, which stops the services first.
        detached: true,
      });
      void stopWhenWeDie(child);
      return child;
    },
    watchReady: (child, ready) => {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream === null) continue;
        createInterface(stream).on("line", (line) => {
          options.onLine?.(line);
          if (line.includes("Ready to accept connections")) ready();
        });
      }
    },
  };
}

const PROGRAMS = ["redis-server", "valkey-server"];

/**
 * Finds `redis-server` or `valkey-server` in PATH and returns its name and its version. Throws a StartError with exit
 * code 2 when there is none, or none of version 7.0 or newer: older ones have no selectors in ACL rules.
 */
export function findRedisServer(): { readonly command: string; readonly version: string } {
  const found: string[] = [];
  for (const command of PROGRAMS) {
    const { stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout ?? "")?.[1];
    if (version === undefined) continue;
    if (Number.parseInt(version, 10) >= 7) return { command, version };
    found.push(`${command} ${version}`);
  }
  const problem =
    found.length === 0
      ? `There is no ${PROGRAMS.join(" and no ")} in PATH.`
      : `${found.join(" and ")} in PATH is older than 7.0.`;
  throw new StartError(
    `${problem} Install Redis 7.0 or newer: "apt-get install redis-server" on Debian, "brew install redis" on macOS.`,
    { exitCode: 2 },
  );
}

/** Returns what the last line of the server's output says, without its pid, time and level. */
function toProblem(lines: readonly string[]): string {
  const last = lines.findLast((line) => line.trim() !== "") ?? "it wrote no reason";
  return last.replace(/^\d+:\w .*? [#*.-] /, "").replace(/\.+$/, "");
}

// What each line is for: docs/operations.md, "A Redis for the plugin".
function toConfiguration({ port, adminPassword }: RedisServerOptions): string {
  const hash = createHash("sha256").update(adminPassword).digest("hex");
  return [
    `port ${port}`,
    "bind 127.0.0.1",
    "protected-mode no",
    'save ""',
    "appendonly yes",
    "appendfsync everysec",
    "maxmemory 256mb",
    "maxmemory-policy noeviction",
    "maxmemory-clients 25%",
    "maxclients 2000",
    "proto-max-bulk-len 1mb",
    "client-query-buffer-limit 8mb",
    "client-output-buffer-limit normal 32mb 16mb 30",
    "client-output-buffer-limit pubsub 32mb 8mb 60",
    "acl-pubsub-default resetchannels",
    // It is off, so nobody can be it. But Redis reads its append-only file with the rights of this user: without them it
    // leaves out every transaction and every script with two writes.
    "user default off allcommands allkeys allchannels",
    `user admin on #${hash} allcommands allkeys allchannels`,
    // The command line then keeps the path of this file, by which a server that was left running is found.
    "set-proc-title no",
    "",
  ].join("\n");
}

// Two servers on one folder would write into the same append-only file.
function killLeftOvers(configurationFile: string): void {
  for (const pid of findProcesses(configurationFile)) signal(pid, "SIGKILL");
}
