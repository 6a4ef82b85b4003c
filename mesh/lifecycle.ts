import { ConfigError } from "./config.ts";
import { printable } from "./printable.ts";

/** A running service. */
export interface Service {
  /** The port on which the service listens. Absent if it does not listen. */
  readonly port?: number;
  /** Stops accepting calls, finishes or releases the work in progress, and closes all connections. */
  close(): Promise<void>;
}

const CLOSE_LIMIT_MS = 8_000;

/**
 * Runs a service as this process. Once the service runs, the parent process gets the message `{ ready: true, port }`.
 *
 * - SIGTERM and SIGINT close the service. The exit code is 0, or 1 when closing fails or takes more than 8 s.
 * - A service that cannot start writes one line to stderr. The exit code is 1, or 2 for a bad configuration.
 * - An uncaught error writes one line to stderr and exits with code 1 at once, because the state may be corrupt.
 * - With EASYCRON_PARENT_WATCH=1 the end of the parent process counts as a SIGTERM.
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

/**
 * Describes an error in one line: its message and those of its causes, and for a programming error the place in the
 * code.
 */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error), 500);
  const isOurs = error instanceof ConfigError || "code" in error;
  const place = isOurs ? "" : ` (${error.stack?.split("\n")[1]?.trim() ?? "no stack"})`;
  const cause = error.cause === undefined ? "" : ` Cause: ${describe(error.cause)}`;
  return `${printable(error.message || error.name, 2_000)}${place}${cause}`;
}
