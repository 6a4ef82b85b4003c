import { ConfigError } from "./config.ts";
import { printable } from "./printable.ts";

/** A running service. */
export interface Service {
  /** The port it listens on, if it does. */
  readonly port?: number;
  /** Stops accepting, finishes or releases what it holds, and closes everything. */
  close(): Promise<void>;
}

const CLOSE_LIMIT_MS = 8_000;

/**
 * Runs a service as this process. When it is up, tells a parent process `{ ready: true, port }`. SIGTERM and SIGINT
 * close it: exit code 0, or 1 when closing fails or takes more than 8 s. When it cannot start: one line on stderr
 * and exit code 1, or 2 for a bad configuration. An uncaught error: one line and exit code 1, at once, because
 * nothing is known to be whole then. With EASYCRON_PARENT_WATCH=1 the end of the parent process is a SIGTERM.
 */
export async function runService(
  name: string,
  build: (env: NodeJS.ProcessEnv) => Promise<Service>,
): Promise<void> {
  const fail = (error: unknown) => {
    process.stderr.write(`${name}: ${describe(error)}\n`, () => process.exit(exitCode(error)));
  };
  process.on("uncaughtException", fail);
  let building: Promise<Service> | undefined;
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    stopService(building).then(() => process.exit(0), fail);
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  if (process.env.EASYCRON_PARENT_WATCH === "1") {
    process.once("disconnect", stop);
    if (!process.connected) return stop();
  }
  try {
    building = build(process.env);
    const { port } = await building;
    if (!stopping) process.send?.({ ready: true, port });
  } catch (error) {
    if (!stopping) fail(error);
  }
}

async function stopService(building: Promise<Service> | undefined): Promise<void> {
  const limit = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`Closing took more than ${CLOSE_LIMIT_MS} ms.`)), CLOSE_LIMIT_MS);
  });
  // A service that failed to start has nothing to close.
  const service = await Promise.race([building?.catch(() => undefined), limit]);
  await Promise.race([service?.close(), limit]);
}

function exitCode(error: unknown): number {
  return error instanceof ConfigError ? 2 : 1;
}

/** One line: message and the causes' messages; for a programming error the place where it happened. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error), 500);
  const isOurs = error instanceof ConfigError || "code" in error;
  const place = isOurs ? "" : ` (${error.stack?.split("\n")[1]?.trim() ?? "no stack"})`;
  const cause = error.cause === undefined ? "" : ` Cause: ${describe(error.cause)}`;
  return `${printable(error.message || error.name, 2_000)}${place}${cause}`;
}
