import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePorts } from "../../dev/ports.ts";
import { startPostgres as startEmbedded } from "../../dev/postgres.ts";
import type { Supervised } from "../../dev/supervisor.ts";
import { copyFolder } from "./copy-folder.ts";

/** A real PostgreSQL of a test's own. */
export interface TestPostgres {
  /** Connection string of the superuser to the database "postgres". */
  readonly url: string;
  /** Kills the server with -9; resolves when it is gone. It is started again at once, on the same port. */
  kill9(): Promise<void>;
  /** Resolves when it accepts connections again. */
  untilReady(): Promise<void>;
  /** Kills it with -9, and resolves when it accepts connections again. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Options of `startPostgres`. */
export interface TestPostgresOptions {
  /** The superuser's. Default "test". */
  readonly password?: string;
  /** A folder of a stopped PostgreSQL with that password. The server starts on a copy. Default: on new, empty data. */
  readonly copyOf?: string;
}

/** Starts a PostgreSQL on data of its own. It survives kill -9 like any other, but not the end of the machine. */
export async function startPostgres({
  password = "test",
  copyOf,
}: TestPostgresOptions = {}): Promise<TestPostgres> {
  const parent = await mkdtemp(join(tmpdir(), "easycron-test-"));
  const folder = join(parent, "postgres");
  if (copyOf !== undefined) await copyFolder(copyOf, folder);
  const [port = 0] = await findFreePorts(1);
  const postgres = await startEmbedded({ folder, password, port, durable: false });
  const untilReady = () => postgres.supervised.untilReady();
  const kill9 = () => killSupervised(postgres.supervised);
  return {
    url: postgres.url("postgres"),
    kill9,
    untilReady,
    restart: async () => {
      await kill9();
      await untilReady();
    },
    stop: async () => {
      await postgres.stop();
      await rm(parent, { recursive: true });
    },
  };
}

/** Kills a supervised process with -9, once it is ready; resolves when it is gone. */
export function killSupervised(supervised: Supervised): Promise<void> {
  return endSupervised(supervised, "SIGKILL");
}

/** Sends a signal that ends a supervised process, once it is ready; resolves when it is gone. */
export async function endSupervised(supervised: Supervised, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  await supervised.untilReady();
  const ended = supervised.untilEnded();
  process.kill(supervised.pid() ?? 0, signal);
  await ended;
}
