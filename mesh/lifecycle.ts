import { ConfigError } from "./config.ts";
import { printable } from "./printable.ts";

/** A running service. */
export interface Service {
  /** The port on which the service listens. Absent if it does not listen. */
  readonly port?: number;
  /** How long closing may take, in milliseconds. Default 8,000. */
  readonly closeLimitMs?: number;
  /**
   * Stops accepting calls, finishes or releases the work in progress, and closes all connections. When `hurry` is
   * aborted, it no longer waits for work in progress.
   */
  close(hurry?: AbortSignal): Promise<void>;
}

const CLOSE_LIMIT_MS = 8_000;
/** How long closing may take after a second signal. */
const HURRIED_LIMIT_MS = 3_000;
/** How long a process whose parent has ended may wait for work in progress. */
const ORPHAN_GRACE_MS = 4_000;

/**
 * Runs a service as this process. Once the service runs, the parent process gets the message `{ ready: true, port }`.
 *
 * - SIGTERM and SIGINT close the service. The exit code is 0, or 1 when closing fails or takes longer than the
 *   service's `closeLimitMs`. A second signal hurries: the service no longer waits for work in progress, and has 3 s.
 * - A service that cannot start writes one line to stderr. The exit code is 1, or 2 for a bad configuration.
 * - An uncaught error writes one line to stderr and exits with code 1 at once, because the state may be corrupt.
 * - With EASYCRON_PARENT_WATCH=1 the end of the parent process counts as a SIGTERM, and as a second one 4 s later.
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
  const hurrying = new AbortController();
  const stop = () => {
    if (stopping) return hurrying.abort();
    stopping = true;
    stopService(building, hurrying.signal).then(() => process.exit(0), fail);
  };
  const stopAsOrphan = () => {
    if (!stopping) stop();
    setTimeout(() => hurrying.abort(), ORPHAN_GRACE_MS).unref();
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  if (process.env.EASYCRON_PARENT_WATCH === "1") {
    process.once("disconnect", stopAsOrphan);
    if (!process.connected) return stopAsOrphan();
  }
  try {
    building = build(process.env);
    const { port } = await building;
    if (!stopping) process.send?.({ ready: true, port });
  } catch (error) {
    if (!stopping) fail(error);
  }
}

async function stopService(building: Promise<Service> | undefined, hurry: AbortSignal): Promise<void> {
  // A service that failed to start has nothing to close.
  const built = building?.catch(() => undefined);
  const service = await Promise.race([built, expire(CLOSE_LIMIT_MS), expireAfter(hurry)]);
  const limitMs = service?.closeLimitMs ?? CLOSE_LIMIT_MS;
  await Promise.race([service?.close(hurry), expire(limitMs), expireAfter(hurry)]);
}

/** Rejects `limitMs` from now. */
function expire(limitMs: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`Closing took more than ${limitMs} ms.`)), limitMs);
  });
}

/** Rejects HURRIED_LIMIT_MS after `hurry` was aborted. */
function expireAfter(hurry: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const begin = () => expire(HURRIED_LIMIT_MS).catch(reject);
    if (hurry.aborted) begin();
    else hurry.addEventListener("abort", begin, { once: true });
  });
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
