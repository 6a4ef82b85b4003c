import { createFifo, type Fifo } from "./fifo.ts";

/** A due item in a lane. */
export interface Work<T> {
  readonly item: T;
  readonly track: Track<T>;
}

/** The classes of a lane's items, the highest first. */
export type TrackName = "first" | "retry" | "late";

/** The items of one class in a lane. */
export interface Track<T> {
  readonly lane: Lane<T>;
  readonly name: TrackName;
  /** The project's id. */
  readonly groupId: string;
  readonly isLate: boolean;
  /** Due, not claimed. */
  readonly waiting: Fifo<Work<T>>;
  /** Claimed, not started. */
  readonly ready: Fifo<Work<T>>;
  /** How many items are in a claim that is under way. */
  claiming: number;
  inFlight: number;
  /** How many attempts have ended in the current time span, and how many in the one before. */
  endedNow: number;
  endedBefore: number;
}

/** The queue of one project and one destination. A slow destination delays only its own lane. */
export interface Lane<T> {
  readonly key: string;
  /** The project's id. */
  readonly groupId: string;
  /** First attempts that are on time. */
  readonly first: Track<T>;
  /** Retries give way to first attempts, but one of them is claimed after every few first attempts. */
  readonly retry: Track<T>;
  /** Late items give way to all others, and use at most half of the lane. */
  readonly late: Track<T>;
  /** All of them, the highest class first. */
  readonly tracks: readonly Track<T>[];
  /** How many items may be in flight. */
  places: number;
  /** How many items are waiting, claiming, ready or in flight. */
  size: number;
  /** How many first attempts were claimed while a retry waited, since the last retry was claimed. */
  passed: number;
  /** When the current time span began. */
  spanStartMs: number;
}

/**
 * Length of the time spans over which a lane's pace is measured. The pace is what has ended in two of them, so at most
 * a tenth of a second's work is claimed ahead.
 */
const PACE_SPAN_MS = 50;

/** Makes an empty lane. */
export function createLane<T>(key: string, groupId: string, places: number): Lane<T> {
  const lane = { key, groupId, places, size: 0, passed: 0, spanStartMs: 0 } as Lane<T>;
  const [first, retry, late] = [trackOf(lane, "first"), trackOf(lane, "retry"), trackOf(lane, "late")];
  return Object.assign(lane, { first, retry, late, tracks: [first, retry, late] });
}

function trackOf<T>(lane: Lane<T>, name: TrackName): Track<T> {
  return {
    lane,
    name,
    groupId: lane.groupId,
    isLate: name === "late",
    waiting: createFifo(),
    ready: createFifo(),
    claiming: 0,
    inFlight: 0,
    endedNow: 0,
    endedBefore: 0,
  };
}

/** Returns how many items of a lane are in flight. */
export function inFlightOf<T>({ first, retry, late }: Lane<T>): number {
  return first.inFlight + retry.inFlight + late.inFlight;
}

/** Returns how many items of a track are claimed, or being claimed, and have not started. */
export function claimedOf<T>({ claiming, ready }: Track<T>): number {
  return claiming + ready.size;
}

/** Begins a new time span when the current one is over. */
export function keepPace<T>(lane: Lane<T>, nowMs: number): void {
  const passedMs = nowMs - lane.spanStartMs;
  if (passedMs < PACE_SPAN_MS) return;
  for (const track of lane.tracks) {
    track.endedBefore = passedMs < 2 * PACE_SPAN_MS ? track.endedNow : 0;
    track.endedNow = 0;
  }
  lane.spanStartMs += passedMs;
}
