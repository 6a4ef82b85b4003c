import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabaseIfAbsent } from "../db/admin.ts";
import { findFreePorts } from "../dev/ports.ts";
import { startPostgres } from "../dev/postgres.ts";
import { findRedisServer, startRedisServer } from "../dev/redis-server.ts";
import type { PeerJob, Stores } from "./peers/adapter.ts";
import { readProcesses } from "./process-usage.ts";
import { ask, startProgram } from "./programs.ts";

/** One-off jobs, due at equal distances from `fromMs` on, within `spreadMs`. */
export interface PeerOrder {
  readonly fromMs: number;
  readonly spreadMs: number;
  readonly count: number;
}

/** A peer at work. */
export interface RunningPeer {
  /** CPU time used so far by it and its database, in microseconds. */
  cpuMicros(): number;
  stop(): Promise<void>;
}

/** A product of others that does the same work. */
export interface Peer {
  readonly name: string;
  /** True: it makes recurring jobs, due at whole seconds. False: one-off jobs, which cost it less. */
  readonly isRecurring: boolean;
  /** Stores jobs and starts to work on them, in a new process. It warms up 2.5 s before `fromMs`. */
  start(order: PeerOrder): Promise<RunningPeer>;
}

/** Peers with the servers that they need. */
export interface Peers {
  readonly all: readonly Peer[];
  stop(): Promise<void>;
}

const KNOWN = [
  { name: "graphile-worker", package: "graphile-worker", store: "postgres", isRecurring: false },
  { name: "pg-boss", package: "pg-boss", store: "postgres", isRecurring: false },
  { name: "bullmq", package: "bullmq", store: "redis", isRecurring: false },
  { name: "bullmq-schedulers", package: "bullmq", store: "redis", isRecurring: true },
] as const;

const WARM_UP_JOBS = 300;
const WARM_UP_MS = 2_500;
const PASSWORD = "bench";

/** How long a peer needs to start and to store jobs before the first one is due. */
export function peerLeadMs(count: number): number {
  return 12_000 + count / 5;
}

/** Starts the servers for the peers that are installed, and says which are not. */
export async function startPeers(url: string): Promise<Peers> {
  const installed = KNOWN.filter(
    (peer) =>
      existsSync(join(import.meta.dirname, "peers/node_modules", peer.package)) &&
      (peer.store === "postgres" || hasRedis()),
  );
  const missing = KNOWN.filter((peer) => !installed.includes(peer)).map(({ name }) => name);
  if (missing.length > 0)
    console.log(
      `Left out: ${missing.join(", ")}. Install peers by npm ci --prefix bench/peers (BullMQ needs redis-server).`,
    );
  if (installed.length === 0) return { all: [], stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), "easycron-bench-peers-"));
  const [postgresPort = 0, redisPort = 0] = await findFreePorts(2);
  const postgres = await startPostgres({
    folder: join(folder, "postgres"),
    password: PASSWORD,
    port: postgresPort,
  });
  // Jobs that wait are in its memory only.
  const args = ["--maxmemory", "4gb"];
  const redisOptions = { folder: join(folder, "redis"), port: redisPort, adminPassword: PASSWORD, args };
  const redis = hasRedis() ? await startRedisServer(redisOptions) : undefined;
  let databases = 0;
  const newStores = async (): Promise<Stores> => {
    const database = `bench_${databases++}`;
    await createDatabaseIfAbsent(postgres.url("postgres"), database);
    return {
      databaseUrl: postgres.url(database),
      redis: { host: "127.0.0.1", port: redisPort, username: "admin", password: PASSWORD },
    };
  };
  const pids = { postgres: () => postgres.supervised.lastPid() ?? 0, redis: () => redis?.pid ?? 0 };
  return {
    all: installed.map(({ name, store, isRecurring }) => ({
      name,
      isRecurring,
      start: async (order) => startWork(name, url, await newStores(), order, pids[store]),
    })),
    stop: async () => {
      await Promise.all([postgres.stop(), redis?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function hasRedis(): boolean {
  try {
    findRedisServer();
    return true;
  } catch {
    return false;
  }
}

async function startWork(
  name: string,
  url: string,
  stores: Stores,
  { fromMs, spreadMs, count }: PeerOrder,
  storePid: () => number,
): Promise<RunningPeer> {
  const { program } = await startProgram("peers/program.ts", [name, url, JSON.stringify(stores)]);
  const warmUpMs = Math.floor((fromMs - WARM_UP_MS) / 1_000) * 1_000;
  const load: PeerJob[] = [];
  for (let index = 0; index < WARM_UP_JOBS; index++)
    load.push({ id: `warm-up-${fromMs}-${index}`, dueMs: warmUpMs });
  for (let index = 0; index < count; index++)
    load.push({ id: `${name}-${fromMs}-${index}`, dueMs: fromMs + Math.floor((index * spreadMs) / count) });
  await ask(program, { load });
  await ask(program, { work: true });
  if (Date.now() > warmUpMs) {
    program.kill("SIGKILL");
    throw new Error(
      `${name} took too long to store ${count} jobs. This machine is too busy or too slow for so many.`,
    );
  }
  return {
    cpuMicros: () => {
      const processes = readProcesses();
      return processes.cpuMicrosOf(program.pid ?? 0) + processes.cpuMicrosOf(storePid());
    },
    stop: async () => {
      const ended = new Promise((done) => program.once("exit", done));
      program.kill("SIGKILL");
      await ended;
    },
  };
}
