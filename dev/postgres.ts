import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { createDatabaseIfAbsent, isWrongPassword } from "../db/admin.ts";
import { orAbort } from "../mesh/or-abort.ts";
import { findBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { folderArgument, initialise, readFolderState } from "./postgres-folder.ts";
import { stopLeftOver } from "./postgres-left-over.ts";
import { StartError } from "./start-error.ts";
import { stopWhenWeDie } from "./stop-when-we-die.ts";
import { type Program, type ProgramEvent, type Supervised, supervise } from "./supervisor.ts";

/** Options of `startPostgres`. */
export interface PostgresOptions {
  /** The folder of its files, created if it does not exist. Its parent must exist and be writable. */
  readonly folder: string;
  /** The password of the superuser "postgres". */
  readonly password: string;
  /** The port on 127.0.0.1. */
  readonly port: number;
  /**
   * False for throw-away data: it then survives the end of any process, but not a crash of the machine. Default true.
   */
  readonly durable?: boolean;
  /** Called with each line that the server writes. */
  readonly onLine?: (line: string) => void;
  /** Called when the server's process starts, is ready, or ends. */
  readonly onEvent?: (event: ProgramEvent) => void;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
}

/** A running PostgreSQL. It is restarted whenever it ends. */
export interface Postgres {
  readonly supervised: Supervised;
  /** Returns the superuser's connection string to a database. */
  url(database: string): string;
  /**
   * Shuts down and rolls back open transactions. Kills a server that does not end within `graceMs` (default 5,000).
   */
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
 * Starts PostgreSQL on its folder and waits until it accepts connections. Before that, it stops the processes that a
 * killed supervisor left running on the folder. Throws a StartError, and changes nothing, when the folder cannot be
 * used.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { folder, port } = options;
  const binaries = findBinaries();
  const clusterName = clusterNameOf(folder);
  await stopLeftOver(folder, clusterName);
  if (readFolderState(folder) === "absent") await initialise({ ...options, binaries });
  const lines: string[] = [];
  const watchers = new Set<Promise<unknown>>();
  const program = toProgram(options, binaries, clusterName, watchers, (line) => {
    lines.push(line);
    options.onLine?.(line);
  });
  const supervised = supervise(program, options.onEvent);
  const stop = async (graceMs = 5_000) => {
    await supervised.stop(graceMs);
    await Promise.all(watchers);
    // When the server was killed, its child processes end by themselves, but not at once.
    await stopLeftOver(folder, clusterName);
  };
  try {
    await orAbort(supervised.untilReady(), options.signal);
  } catch (cause) {
    await stop();
    options.signal?.throwIfAborted();
    throw new StartError(`PostgreSQL cannot start on ${folder}: ${toProblem(lines)} ${REMEDY}`, { cause });
  }
  const url = (database: string) =>
    `postgres://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${database}`;
  return { supervised, url, stop };
}

/** Returns the name of a folder's server. The command line of each of its processes contains it. */
export function clusterNameOf(folder: string): string {
  return `easycron-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`;
}

const REMEDY = "Restore the folder from a backup, or move it away to start with an empty one.";

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
        // Ctrl-C must reach the supervisor only, which stops the services first.
        detached: true,
      });
      const watcher = stopWhenWeDie(child);
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

/** Returns the line of the server's output that says why it ended. */
function toProblem(lines: readonly string[]): string {
  const fatal = lines.map((line) => /(?:FATAL|PANIC):\s+(.*)$/.exec(line)?.[1]).findLast((text) => text);
  const problem = fatal ?? lines[0]?.replace(/^postgres: /, "") ?? "it wrote no reason";
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
    throw new StartError(`PostgreSQL's files are damaged: ${problem}. ${REMEDY}`, { cause });
  }
}
