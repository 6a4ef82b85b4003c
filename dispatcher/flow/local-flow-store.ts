import { BURST_MS, type FlowAnswer, type FlowRequest, type FlowStore } from "./flow-store.ts";

interface KeyState {
  /** Places that are held. */
  held: number;
  /** When the next start is due, on the clock of `elapsedMs`. */
  nextMs: number;
}

/** When only a place is missing: it is asked for again at its release, so this pause is only a precaution. */
const NO_PLACE_MS = 1_000;
/** A key without places whose rate is unused is forgotten when so many keys were added since the last look. */
const LOOK_EVERY = 1_000;

/**
 * Makes a store that counts what this process has started. It decides at once, and keeps a key only while it has places
 * in use or its rate is not free again. `elapsedMs` is a clock that never steps.
 */
export function createLocalFlowStore(elapsedMs = () => performance.now()): FlowStore {
  const keys = new Map<string, KeyState>();
  let added = 0;

  const stateOf = (key: string, nowMs: number): KeyState => {
    const known = keys.get(key);
    if (known !== undefined) return known;
    added += 1;
    if (added >= LOOK_EVERY) {
      added = 0;
      for (const [name, { held, nextMs }] of keys) if (held === 0 && nextMs <= nowMs) keys.delete(name);
    }
    const state = { held: 0, nextMs: 0 };
    keys.set(key, state);
    return state;
  };

  const answer = ({ key, limits, wanted }: FlowRequest): FlowAnswer => {
    const nowMs = elapsedMs();
    const state = stateOf(key, nowMs);
    const places = Math.max(0, (limits.maxInFlight ?? Number.POSITIVE_INFINITY) - state.held);
    const intervalMs = limits.ratePerSecond === undefined ? 0 : 1_000 / limits.ratePerSecond;
    const starts = startsOf(state.nextMs, nowMs, intervalMs);
    const granted = Math.min(wanted, places, starts);
    if (granted > 0) {
      state.held += granted;
      if (intervalMs > 0) state.nextMs = Math.max(state.nextMs, nowMs) + granted * intervalMs;
    }
    if (granted === wanted) return { granted, againMs: 1 };
    const rateMs = Math.max(1, Math.ceil(state.nextMs - allowanceMs(intervalMs) - nowMs));
    return { granted, againMs: granted === places ? Math.max(rateMs, NO_PLACE_MS) : rateMs };
  };

  return {
    take: (requests) => Promise.resolve(requests.map(answer)),
    release: (releases) => {
      for (const { key, count } of releases) {
        const state = keys.get(key);
        if (state === undefined) continue;
        state.held = Math.max(0, state.held - count);
        if (state.held === 0 && state.nextMs <= elapsedMs()) keys.delete(key);
      }
    },
    close: () => Promise.resolve(keys.clear()),
  };
}

/** How early a start may be: the whole intervals within BURST_MS. */
function allowanceMs(intervalMs: number): number {
  return intervalMs === 0 ? 0 : Math.floor(BURST_MS / intervalMs) * intervalMs;
}

/** Returns how many starts the rate allows now. */
function startsOf(nextMs: number, nowMs: number, intervalMs: number): number {
  if (intervalMs === 0) return Number.POSITIVE_INFINITY;
  const earlyMs = nowMs + allowanceMs(intervalMs) - Math.max(nextMs, nowMs);
  // A start that rounding makes a nanosecond too early counts as on time.
  return earlyMs < -1e-6 ? 0 : Math.floor((earlyMs + 1e-6) / intervalMs) + 1;
}
