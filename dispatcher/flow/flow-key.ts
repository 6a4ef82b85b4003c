import type { FlowLimits } from "./flow-store.ts";
import { type ClassQueue, createClassQueue } from "./key-queue.ts";

/** One flow key of which triggers wait, or were granted and have not started. */
export interface FlowKey {
  readonly name: string;
  readonly projectId: string;
  readonly queue: ClassQueue;
  /** The limits that the waiters have; undefined when they differ. */
  limits: FlowLimits | undefined;
  /** How many were granted and have not started. */
  unstarted: number;
  /** Whether the store is being asked, or will be asked in this turn of the event loop. */
  isAsking: boolean;
  /** Whether a place that becomes free may help. */
  needsPlace: boolean;
  timer: NodeJS.Timeout | undefined;
  /** Until when triggers were put off, in epoch milliseconds: new ones come after them. */
  deferredUntilMs: number;
  /** How long one start takes on average, in milliseconds, measured while triggers waited. */
  paceMs: number;
  /** When the last start was granted while triggers waited, on the clock of performance.now; undefined if none waited. */
  lastGrantMs: number | undefined;
}

/** Makes a key of which nothing waits. */
export function createFlowKey(name: string, projectId: string, limits: FlowLimits): FlowKey {
  return {
    name,
    projectId,
    queue: createClassQueue(),
    limits,
    unstarted: 0,
    isAsking: false,
    needsPlace: false,
    timer: undefined,
    deferredUntilMs: 0,
    paceMs: paceOf(limits),
    lastGrantMs: undefined,
  };
}

/** A guess: without a rate, each place serves one attempt a second. */
function paceOf({ maxInFlight, ratePerSecond }: FlowLimits): number {
  return ratePerSecond === undefined ? 1_000 / (maxInFlight ?? 1) : 1_000 / ratePerSecond;
}

/** How much of the newest measurement counts for the pace. */
const NEWEST = 0.1;

/** Measures the pace: `count` starts were granted now, and others wait, or not. */
export function measure(key: FlowKey, count: number): void {
  const nowMs = performance.now();
  if (key.lastGrantMs !== undefined) {
    key.paceMs += NEWEST * ((nowMs - key.lastGrantMs) / count - key.paceMs);
  }
  key.lastGrantMs = key.queue.size > 0 ? nowMs : undefined;
}

/**
 * How many starts may be granted before they have started: a tenth of a second's. If the destination is slow, its lane is
 * full; more would then start together when the lane has room again, at more than the rate.
 */
export function aheadOf({ ratePerSecond, maxInFlight }: FlowLimits): number {
  if (ratePerSecond === undefined) return maxInFlight ?? 1;
  return Math.max(1, Math.ceil(ratePerSecond / 10));
}

/** Whether two limits are the same. */
export function isSame(one: FlowLimits, other: FlowLimits): boolean {
  return one.maxInFlight === other.maxInFlight && one.ratePerSecond === other.ratePerSecond;
}
