import type { Events } from "../events/events.ts";
import type { Results } from "./results.ts";

/** While the oldest result has waited for longer than this to be recorded, nothing is claimed. */
export const MAX_LAG_MS = 1_000;

/** How often the check is to be called. */
export const LAG_CHECK_MS = 500;

/** Time between two `lagging` events while results wait for too long. */
const EMIT_EVERY_MS = 10_000;

/** Makes a check that emits `lagging` when results wait for longer than MAX_LAG_MS: at once, then every ten seconds. */
export function createLagWatch(parts: {
  readonly results: Pick<Results, "lagMs" | "size">;
  readonly events: Events;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
}): () => void {
  const { results, events, elapsedMs = () => performance.now() } = parts;
  let emittedMs = Number.NEGATIVE_INFINITY;
  return () => {
    const { lagMs, size } = results;
    if (lagMs <= MAX_LAG_MS || elapsedMs() - emittedMs < EMIT_EVERY_MS) return;
    emittedMs = elapsedMs();
    events.emit("lagging", { lagMs: Math.round(lagMs), waiting: size });
  };
}
