import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { createFailureWindow, type FailureWindow, isQuiet } from "./breaker.ts";
import type { ClassQueue } from "./key-queue.ts";
import { createPlaces, type Places } from "./places.ts";

/** What is known about one origin of one project. */
export interface Destination {
  readonly projectId: string;
  readonly name: string;
  /** CLOSED: attempts are made. OPEN: none is made until `untilMs`. TRYING: one is made, or the next that comes. */
  state: "CLOSED" | "OPEN" | "TRYING";
  /** Why it is not CLOSED. */
  reason: "BREAKER" | "RETRY_AFTER";
  untilMs: number;
  /** How often in a row its failures have opened it. */
  openings: number;
  /** The trigger that makes the single attempt. */
  probe: HeldTrigger | undefined;
  /** The triggers whose attempt has started since it was CLOSED last. */
  startedSince: WeakSet<HeldTrigger>;
  /** The end of the pause, or the limit for the start, and then for the end, of the single attempt. */
  timer: NodeJS.Timeout | undefined;
  /** When an attempt at it ended, or a trigger came for it while it was not CLOSED, last. */
  lastMs: number;
  readonly window: FailureWindow;
  readonly places: Places;
  /** The triggers that wait; absent while none has. */
  queue: ClassQueue | undefined;
}

/** Makes a destination of which nothing is known. */
export function createDestination(projectId: string, name: string, nowMs: number): Destination {
  return {
    projectId,
    name,
    state: "CLOSED",
    reason: "BREAKER",
    untilMs: 0,
    openings: 0,
    probe: undefined,
    startedSince: new WeakSet(),
    timer: undefined,
    lastMs: nowMs,
    window: createFailureWindow(nowMs),
    places: createPlaces(),
    queue: undefined,
  };
}

const UNUSED_MS = 600_000;

/** Whether nothing is left to know about a destination, or it has not been used for ten minutes. */
export function isForgettable(destination: Destination, nowMs: number): boolean {
  const { state, places, window, queue, probe, lastMs } = destination;
  if ((queue?.size ?? 0) > 0) return false;
  if (state === "CLOSED" && places.count === undefined && isQuiet(window, nowMs)) return true;
  return state !== "OPEN" && probe === undefined && nowMs - lastMs > UNUSED_MS;
}
