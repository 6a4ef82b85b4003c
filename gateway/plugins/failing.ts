import { backoffMs } from "../../mesh/backoff.ts";
import { EasyCronError, failure, type ReasonName } from "../../mesh/errors.ts";
import { type Lease, writeUnder } from "./lease.ts";
import { type PluginParts, sqlNow } from "./parts.ts";
import { type PluginStateName, pluginNoteFailure, pluginRelease } from "./plugins.sql.ts";

/** What may go away by itself. Whatever else a broker or plugin delivery says, it says again to the same request. */
const PASSING: readonly ReasonName[] = [
  "SERVICE_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "TOO_MANY_CALLS",
  "INTERNAL",
];
const BACKOFF = { minMs: 1_000, maxMs: 30_000, jitter: 0.2, random: Math.random };
const FAILED_BACKOFF = { ...BACKOFF, minMs: 60_000, maxMs: 600_000 };

/** Whether the same step may succeed later. */
export function isPassing(error: unknown): boolean {
  return PASSING.includes(EasyCronError.from(error).reason);
}

/**
 * Ends work that failed: gives the lease back, and if the work had changed something, writes why it failed and when it is
 * tried again. Never throws. A plugin that could be used stays usable; one that was being set up first is FAILED unless the
 * failure may pass.
 */
export async function endFailed(parts: PluginParts, lease: Lease, error: unknown): Promise<void> {
  const { database, logger } = parts;
  const { projectId, kind } = lease;
  try {
    if (!lease.hasBegun) {
      await database.query(pluginRelease, [projectId, kind, lease.owner]);
      return;
    }
    const state = stateAfter(lease, error);
    const attempt = lease.row.failures + 1;
    const pauseMs = backoffMs({ ...(state === "FAILED" ? FAILED_BACKOFF : BACKOFF), attempt });
    const values = [state, describe(error), pauseMs, sqlNow(parts)];
    await writeUnder(database, lease, pluginNoteFailure, values);
    // A broker that is away fails every plugin again and again.
    if (attempt === 1)
      logger.warn({ projectId, kind, state, pauseMs, err: error }, "a step of a plugin failed; trying again");
  } catch (writeError) {
    logger.warn({ projectId, kind, err: writeError }, "could not write that a step of a plugin failed");
  }
}

/**
 * Returns the error that the caller of a step gets. A broker or a service that was too slow, or a step whose caller has gone,
 * is SERVICE_UNAVAILABLE: the state is kept, and the loop goes on.
 */
export function toCallError(error: unknown): unknown {
  const known = EasyCronError.from(error);
  if (known.reason !== "DEADLINE_EXCEEDED" && known.reason !== "CANCELLED") return error;
  return failure("SERVICE_UNAVAILABLE", { service: "plugins" }, { cause: known, retryAfterMs: 1_000 });
}

function stateAfter({ row }: Lease, error: unknown): PluginStateName {
  if (row.state === "PROVISIONING" && !row.is_usable && !isPassing(error)) return "FAILED";
  return row.state;
}

const MAX_REASON_LENGTH = 500;

function describe(error: unknown): string {
  const known = EasyCronError.from(error);
  if (known.reason === "INTERNAL") return "A step failed inside EasyCron; it is tried again.";
  const isLate = known.reason === "DEADLINE_EXCEEDED" || known.reason === "CANCELLED";
  const words = isLate ? "The broker did not finish in time; the step is tried again." : known.message;
  return words.slice(0, MAX_REASON_LENGTH);
}
