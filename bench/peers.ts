import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabaseIfAbsent } from "../db/admin.ts";
import { findFreePorts } from "../dev/ports.ts";
import { startPostgres } from "../dev/postgres.ts";
import { findRedisServer, startRedisServer } from "../dev/redis-server.ts";
import type { PeerJob, Stores } from "./peers/adapter.ts";
import { readProcesses } from "./process-usage.ts";
import { ask, at, startProgram } from "./programs.ts";

/** One-off jobs, due at equal distances from `fromMs` on, within `spreadMs`. */
export interface PeerOrder {
  readonly fromMs: number;
  readonly spreadMs: number;
  readonly count: number;
}

/** A product of others that does the same work. */
export interface Peer {
  readonly name: string;
  /** True: it makes recurring jobs, due at whole seconds. False: one-off jobs, which cost it less. */
  readonly isRecurring: boolean;
  /** Stores jobs while it works. Throws when that takes until the first one is due. */
  load(order: PeerOrder): Promise<void>;
  /** CPU time used so far by it and its database, in microseconds. */
  cpuMicros(): number;
  /** Ends its process, so that a backlog does not disturb the others. */
  leave(): Promise<void>;
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

/** As many as the floor and the product have before they are measured. */
const WARM_UP_JOBS = 10_000;
/** A cold peer stores the jobs of its warm-up more slowly than later ones. */
const WARM_UP_LEAD_MS = 15_000;
/** From the due time of the warm-up until the peer is ready. */
const WARM_UP_MS = 6_000;
const PASSWORD = "bench";

/** How long a peer that works already needs to store jobs before the first one is due. */
export function peerLeadMs(count: number): number {
  return 3_000 + count / 5;
}

/**
 * Starts the peers that are installed, each in one process for the whole benchmark, and their servers. Each delivers
 * 10,000 jobs first, so that its code is compiled as that of the others is. Says which are left out.
 */
export async function startPeers(url: string, wanted: (isRecurring: boolean) => boolean): Promise<Peers> {
  const installed = KNOWN.filter(
    (peer) =>
      existsSync(join(import.meta.dirname, "peers/node_modules", peer.package)) &&
      wanted(peer.isRecurring) &&
      (peer.store === "postgres" || hasRedis()),
  );
  const missing = KNOWN.filter((peer) => wanted(peer.isRecurring) && !installed.includes(peer)).map(
    ({ name }) => name,
  );
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
    const number = databases++;
    const database = `bench_${number}`;
    await createDatabaseIfAbsent(postgres.url("postgres"), database);
    return {
      databaseUrl: postgres.url(database),
      redis: { host: "127.0.0.1", port: redisPort, username: "admin", password: PASSWORD, db: number },
    };
  };
  const pids = { postgres: () => postgres.supervised.lastPid() ?? 0, redis: () => redis?.pid ?? 0 };
  const all: Peer[] = [];
  for (const { name, store, isRecurring } of installed) {
    try {
      all.push({ name, isRecurring, ...(await startPeer(name, url, await newStores(), pids[store])) });
    } catch (error) {
      console.log(`${name} is left out: ${error instanceof Error ? error.message : error}`);
    }
  }
  return {
    all,
    stop: async () => {
      await Promise.all(all.map((peer) => peer.leave()));
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

async function startPeer(
  name: string,
  url: string,
  stores: Stores,
  storePid: () => number,
): Promise<Omit<Peer, "name" | "isRecurring">> {
  const { program } = await startProgram("peers/program.ts", [name, url, JSON.stringify(stores)]);
  const load = async ({ fromMs, spreadMs, count }: PeerOrder) => {
    const jobs = Array.from(
      { length: count },
      (_, index): PeerJob => ({
        id: `${name}-${fromMs}-${index}`,
        dueMs: fromMs + Math.floor((index * spreadMs) / count),
      }),
    );
    await ask(program, { load: jobs });
    if (Date.now() > fromMs)
      throw new Error(
        `${name} took too long to store ${count} jobs. This machine is too busy or too slow for so many.`,
      );
  };
  const leave = async () => {
    if (program.exitCode !== null || program.signalCode !== null) return;
    const ended = new Promise((done) => program.once("exit", done));
    program.kill("SIGKILL");
    await ended;
  };
  try {
    await ask(program, { work: true });
    const warmMs = Math.ceil((Date.now() + WARM_UP_LEAD_MS) / 1_000) * 1_000;
    await load({ fromMs: warmMs, spreadMs: 0, count: WARM_UP_JOBS });
    await at(warmMs + WARM_UP_MS);
  } catch (error) {
    await leave();
    throw error;
  }
  return {
    load,
    cpuMicros: () => {
      const processes = readProcesses();
      return processes.cpuMicrosOf(program.pid ?? 0) + processes.cpuMicrosOf(storePid());
    },
    leave,
  };
}
