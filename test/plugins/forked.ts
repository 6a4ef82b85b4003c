import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { within } from "../support/within.ts";

const root = resolve(import.meta.dirname, "../..");

/** A service that runs as a process of its own. */
export interface Forked {
  readonly address: string;
  readonly child: ChildProcess;
  /** Resolves with the signal that ended the process. */
  readonly ended: Promise<string | null>;
  /** Kills it with -9, and resolves when it is gone. */
  kill9(): Promise<void>;
}

const READY_WITHIN_MS = 45_000;

/** Starts a service, by the path of its module, and resolves when it serves. Throws if it ends before, or after 45 s. */
export async function forkService(module: string, env: Readonly<Record<string, string>>): Promise<Forked> {
  const child = fork(resolve(root, module), {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? "",
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      EASYCRON_PARENT_WATCH: "1",
      ...env,
    },
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = once(child, "exit").then(([, signal]) => signal as string | null);
  const ready = once(child, "message") as Promise<[{ port: number }]>;
  const first = await within(
    Promise.race([ready, ended]),
    READY_WITHIN_MS,
    () => `${module} does not serve after ${READY_WITHIN_MS / 1_000} s.`,
  ).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  if (!Array.isArray(first)) throw new Error(`${module} ended before it served.`);
  return {
    address: `127.0.0.1:${first[0].port}`,
    child,
    ended,
    kill9: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
