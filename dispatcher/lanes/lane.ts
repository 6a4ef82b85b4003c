import { createFifo, type Fifo } from "./fifo.ts";

/** A due item in a lane. */
export interface Work<T> {
  readonly item: T;
  readonly track: Track<T>;
}

/** The items of a lane that are on time, or those that are late. */
export interface Track<T> {
  readonly lane: Lane<T>;
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
  readonly onTime: Track<T>;
  /** Late items give way to items on time, and use at most half of the lane. */
  readonly late: Track<T>;
  /** When the current time span began. */
  spanStartMs: number;
}

/**
 * Length of the time spans over which a lane's pace is measured. The pace is what has ended in two of them, so at most
 * a tenth of a second's work is claimed ahead.
 */
const PACE_SPAN_MS = 50;

/** Makes an empty lane. */
export function createLane<T>(key: string, groupId: string): Lane<T> {
  const trackOf = (isLate: boolean): Track<T> => {
    const counts = { claiming: 0, inFlight: 0, endedNow: 0, endedBefore: 0 };
    return {
      get lane() {
        return lane;
      },
      groupId,
      isLate,
      waiting: createFifo(),
      ready: createFifo(),
      ...counts,
    };
  };
  const lane: Lane<T> = { key, onTime: trackOf(false), late: trackOf(true), spanStartMs: 0 };
  return lane;
}

/** Returns how many items of a lane are in flight. */
export function inFlightOf<T>({ onTime, late }: Lane<T>): number {
  return onTime.inFlight + late.inFlight;
}

/** Returns how many items of a track are claimed, or being claimed, and have not started. */
export function claimedOf<T>({ claiming, ready }: Track<T>): number {
  return claiming + ready.size;
}

/** Whether a lane is empty. */
export function isIdle<T>({ onTime, late }: Lane<T>): boolean {
  return isEmpty(onTime) && isEmpty(late);
}

function isEmpty<T>(track: Track<T>): boolean {
  return track.inFlight + track.claiming + track.ready.size + track.waiting.size === 0;
}

/** Begins a new time span when the current one is over. */
export function keepPace<T>(lane: Lane<T>, nowMs: number): void {
  const passedMs = nowMs - lane.spanStartMs;
  if (passedMs < PACE_SPAN_MS) return;
  for (const track of [lane.onTime, lane.late]) {
    track.endedBefore = passedMs < 2 * PACE_SPAN_MS ? track.endedNow : 0;
    track.endedNow = 0;
  }
  lane.spanStartMs += passedMs;
}
