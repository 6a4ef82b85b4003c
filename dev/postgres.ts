import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createDatabaseIfAbsent, isWrongPassword } from "../db/admin.ts";
import { orAbort } from "./abort.ts";
import { findBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { folderArgument, initialise, readFolderState } from "./postgres-folder.ts";
import { stopLeftOver } from "./postgres-left-over.ts";
import { StartError } from "./start-error.ts";
import { type Program, type ProgramEvent, type Supervised, supervise } from "./supervisor.ts";

/** A PostgreSQL of our own. */
export interface PostgresOptions {
  /** Where it keeps its files; made when there is none. Its parent must exist and be writable. */
  readonly folder: string;
  /** Of the superuser "postgres". */
  readonly password: string;
  /** On the loopback address. */
  readonly port: number;
  /** False for data that nobody will miss: it then survives the end of any process, but not of the machine. */
  readonly durable?: boolean;
  /** Told each line that the server writes. */
  readonly onLine?: (line: string) => void;
  /** Told what happens to the server's process. */
  readonly onEvent?: (event: ProgramEvent) => void;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** A running PostgreSQL; it is started again whenever it ends. */
export interface Postgres {
  readonly supervised: Supervised;
  /** Connection string of the superuser. */
  url(database: string): string;
  /** Fast shutdown: open transactions are rolled back. What does not end within `graceMs` (5 s) is killed. */
  stop(graceMs?: number): Promise<void>;
}

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  timezone: "UTC",
  log_timezone: "UTC",
  lc_messages: "C",
};

/**
 * Starts PostgreSQL on a folder of its own, having stopped what a killed supervisor left running there, and waits
 * until it accepts connections. Throws a StartError, having changed nothing, when the folder cannot be used.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { folder, port } = options;
  const binaries = findBinaries();
  const clusterName = clusterNameOf(folder);
  await stopLeftOver(folder, clusterName);
  if (readFolderState(folder) === "absent") await initialise({ ...options, binaries });
  const words: string[] = [];
  const watchers = new Set<Promise<unknown>>();
  const program = toProgram(options, binaries, clusterName, watchers, (line) => {
    words.push(line);
    options.onLine?.(line);
  });
  const supervised = supervise(program, options.onEvent);
  const stop = async (graceMs = 5_000) => {
    await supervised.stop(graceMs);
    await Promise.all(watchers);
    // The processes of a server that had to be killed end by themselves, but not at once.
    await stopLeftOver(folder, clusterName);
  };
  try {
    await orAbort(supervised.untilReady(), options.signal);
  } catch (cause) {
    await stop();
    options.signal?.throwIfAborted();
    throw new StartError(`PostgreSQL cannot start on ${folder}: ${toProblem(words)} ${CURE}`, { cause });
  }
  const url = (database: string) =>
    `postgres://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${database}`;
  return { supervised, url, stop };
}

/** The name that all processes of a folder's server bear on their command line. */
export function clusterNameOf(folder: string): string {
  return `easycron-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`;
}

const CURE = "Restore the folder from a backup, or move it away to begin with an empty one.";

function toProgram(
  { folder, port, durable = true }: PostgresOptions,
  { postgres, user }: PostgresBinaries,
  clusterName: string,
  watchers: Set<Promise<unknown>>,
  onLine: (line: string) => void,
): Program {
  const all = { ...SETTINGS, fsync: durable ? "on" : "off", port: String(port), cluster_name: clusterName };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return {
    name: "postgres",
    stopSignal: "SIGINT",
    start: () => {
      const child = spawn(postgres, ["-D", folderArgument(folder, user !== undefined), ...flags], {
        ...user,
        cwd: folder,
        env: { LC_ALL: "C", TZ: "UTC" },
        stdio: ["ignore", "ignore", "pipe"],
        // Ctrl-C is for the supervisor, which lets the services end first.
        detached: true,
      });
      const watcher = endWithUs(child);
      watchers.add(watcher);
      void watcher.then(() => watchers.delete(watcher));
      return child;
    },
    watchReady: (child, ready) => {
      if (child.stderr === null) return;
      createInterface(child.stderr).on("line", (line) => {
        onLine(line);
        if (line.includes("database system is ready to accept connections")) ready();
      });
    },
  };
}

/**
 * Has a server stopped when this process dies, however it dies: a shell waits for the end of a pipe that we hold.
 * Resolves when the shell is gone, which is soon after the server.
 */
function endWithUs(child: ChildProcess): Promise<unknown> {
  if (child.pid === undefined) return Promise.resolve();
  const watcher = spawn("/bin/sh", ["-c", 'read -r _; kill -INT "$1"', "sh", String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.stdin.on("error", () => {});
  child.once("exit", () => watcher.kill("SIGKILL"));
  // Without a shell nobody watches; the next start stops what is left over.
  return once(watcher, "exit").catch(() => undefined);
}

/** The one line of the server's many that says why it ended. */
function toProblem(lines: readonly string[]): string {
  const fatal = lines.map((line) => /(?:FATAL|PANIC):\s+(.*)$/.exec(line)?.[1]).findLast((text) => text);
  const problem = fatal ?? lines[0]?.replace(/^postgres: /, "") ?? "it said nothing";
  return problem.endsWith(".") ? problem : `${problem}.`;
}

/** Creates a database unless it exists. Throws a StartError when the server cannot do so. */
export async function ensureDatabase(postgres: Postgres, name: string): Promise<void> {
  try {
    await createDatabaseIfAbsent(postgres.url("postgres"), name);
  } catch (cause) {
    if (isWrongPassword(cause)) {
      throw new StartError(
        "The password in keys.json is not the password of PostgreSQL's files: the two belong to different data. " +
          "Restore keys.json and the folder postgres from the same backup.",
        { cause },
      );
    }
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`PostgreSQL's files are damaged: ${problem}. ${CURE}`, { cause });
  }
}
