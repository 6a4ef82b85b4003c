import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether `redis-server` is installed. */
export const hasRedis = spawnSync("redis-server", ["--version"]).error === undefined;
if (!hasRedis) console.warn("redis-server is not installed, so nothing is tested on Redis.");

/** A real Redis of a test's own, without persistence. */
export interface RedisServer {
  /** The path of its socket. It has no port. */
  readonly path: string;
  stop(): Promise<void>;
}

/** Starts a Redis in a folder of its own. Resolves when it accepts connections. */
export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "easycron-redis-"));
  const path = join(folder, "redis.sock");
  const flags = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder];
  const server = spawn("redis-server", flags, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(server, "exit");
  await new Promise<void>((ready, fail) => {
    let output = "";
    server.stdout.on("data", (text: Buffer) => {
      output += text;
      if (/ready to accept connections/i.test(output)) ready();
    });
    void ended.then(() => fail(new Error(`redis-server ended:\n${output}`)));
  });
  return {
    path,
    stop: async () => {
      server.kill();
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
