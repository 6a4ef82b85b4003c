import { createFifo, type Fifo } from "./fifo.ts";

/** One due trigger on its way from waiting to its end. */
export interface Work<T> {
  readonly item: T;
  readonly track: Track<T>;
}

/** Those of a lane that are on time, or those that make up for something. */
export interface Track<T> {
  readonly lane: Lane<T>;
  /** The project. */
  readonly groupId: string;
  readonly isLate: boolean;
  readonly waiting: Fifo<Work<T>>;
  readonly ready: Fifo<Work<T>>;
  claiming: number;
  inFlight: number;
  /** Attempts ended in the present span of time and in the one before. */
  endedNow: number;
  endedBefore: number;
}

/** One destination of one project: what it does slowly delays nobody else. */
export interface Lane<T> {
  readonly key: string;
  readonly onTime: Track<T>;
  /** Those that make up for something give way to those on time, and never use more than half of the lane. */
  readonly late: Track<T>;
  /** When the present span began. */
  spanStartMs: number;
}

/** Over how long a lane's pace is taken. A tenth of a second's work is claimed ahead at the most. */
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

/** How many of a lane are in flight. */
export function inFlightOf<T>({ onTime, late }: Lane<T>): number {
  return onTime.inFlight + late.inFlight;
}

/** How many of a track are claimed, or being claimed, and have not started. */
export function claimedOf<T>({ claiming, ready }: Track<T>): number {
  return claiming + ready.size;
}

/** Whether nothing is in a lane. */
export function isIdle<T>({ onTime, late }: Lane<T>): boolean {
  return [onTime, late].every((track) => track.waiting.size + claimedOf(track) + track.inFlight === 0);
}

/** Begins a new span of time when the present one is over. */
export function keepPace<T>(lane: Lane<T>, nowMs: number): void {
  const passedMs = nowMs - lane.spanStartMs;
  if (passedMs < PACE_SPAN_MS) return;
  for (const track of [lane.onTime, lane.late]) {
    track.endedBefore = passedMs < 2 * PACE_SPAN_MS ? track.endedNow : 0;
    track.endedNow = 0;
  }
  lane.spanStartMs += passedMs;
}
