import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePorts } from "../../dev/ports.ts";
import { findRedisServer, type RedisServer, startRedisServer } from "../../dev/redis-server.ts";
import { problemOf } from "../../dev/start-error.ts";

/** A real Redis of a test file's own. */
export interface TestRedis {
  /** The administrator's connection string. It stays the same over restarts. */
  readonly url: string;
  readonly port: number;
  /** The pid of the server that runs now, or ran last. */
  readonly pid: number;
  /** Kills the server with -9; resolves when it is gone. It stays away until `start`. */
  kill9(): Promise<void>;
  /** Starts it again, on the same port and the same data; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Starts a Redis with the configuration of `npm start` on data of its own. `args` are further arguments of the server. */
export async function startTestRedis(args: readonly string[] = []): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), "easycron-redis-"));
  const [port = 0] = await findFreePorts(1);
  const start = () => startRedisServer({ folder, port, adminPassword: "test-admin", args });
  let server: RedisServer = await start();
  return {
    url: server.url,
    port,
    get pid() {
      return server.pid;
    },
    kill9: () => server.kill9(),
    start: async () => {
      server = await start();
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}

let answer: boolean | undefined;

/**
 * Tells whether tests can start a Redis. If not, it writes one line that says why and how to enable those tests, once
 * for each process. With EASYCRON_TEST_REDIS=required it throws instead, so that no skipped test passes for a run one.
 */
export function hasRedis(): boolean {
  answer ??= look();
  return answer;
}

function look(): boolean {
  try {
    findRedisServer();
    return true;
  } catch (error) {
    if (process.env.EASYCRON_TEST_REDIS === "required") throw error;
    process.stderr.write(`Tests with a real Redis are skipped. ${problemOf(error)}\n`);
    return false;
  }
}
