import type { Events } from "../events/events.ts";
import type { Results } from "./results.ts";

/** For how long a result may wait to be recorded before nothing new is claimed. */
export const MAX_LAG_MS = 1_000;

/** How often to look. */
export const LAG_CHECK_MS = 500;

/** How often it is told while it lasts. */
const TELL_EVERY_MS = 10_000;

/** Makes a check that tells (`lagging`) when results wait for too long: once at first, then every ten seconds. */
export function createLagWatch(parts: {
  readonly results: Pick<Results, "lagMs" | "size">;
  readonly events: Events;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
}): () => void {
  const { results, events, elapsedMs = () => performance.now() } = parts;
  let toldMs = Number.NEGATIVE_INFINITY;
  return () => {
    const { lagMs, size } = results;
    if (lagMs <= MAX_LAG_MS || elapsedMs() - toldMs < TELL_EVERY_MS) return;
    toldMs = elapsedMs();
    events.emit("lagging", { lagMs: Math.round(lagMs), waiting: size });
  };
}
