import type { Verdict } from "./breaker.ts";

/** How many attempts a destination gets at once, after it has asked for less. */
export interface Places {
  /** At least 1; undefined while it has never asked for less, or has recovered. */
  count: number | undefined;
  /** Answers since the last change, as a part of what the next change needs. */
  credit: number;
  /** When the number was last halved. */
  halvedMs: number;
}

/** The number is halved at most once in this time: many attempts that were in flight together are answered together. */
const HALVE_EVERY_MS = 1_000;

/** Makes the places of a destination that has not asked for less. */
export function createPlaces(): Places {
  return { count: undefined, credit: 0, halvedMs: Number.NEGATIVE_INFINITY };
}

/**
 * Halves the number of places when a destination asks for less, and adds one for as many answers as there are places, up to
 * `most`: additive increase, multiplicative decrease, as TCP does it (RFC 5681). Returns whether the number has changed.
 * `nowMs` is of a clock that never steps.
 */
export function adaptPlaces(places: Places, verdict: Verdict, most: number, nowMs: number): boolean {
  if (verdict === "BUSY") {
    if (nowMs - places.halvedMs < HALVE_EVERY_MS) return false;
    places.count = Math.max(1, Math.floor((places.count ?? most) / 2));
    places.credit = 0;
    places.halvedMs = nowMs;
    return true;
  }
  if (verdict !== "ALIVE" || places.count === undefined) return false;
  places.credit += 1 / places.count;
  // As many answers as there are places add up to a little less than 1.
  if (places.credit < 1 - 1e-9) return false;
  places.credit = 0;
  places.count = places.count + 1 >= most ? undefined : places.count + 1;
  return true;
}
