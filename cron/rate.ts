import { ScheduleError } from "./errors.ts";
import { LAST_SECOND, toOffsets, type Zone, type ZoneOffsets } from "./zone-offsets.ts";

/** The shortest and the longest interval: one second and 365 days. */
export const MIN_RATE_MS = 1_000;
export const MAX_RATE_MS = 365 * 86_400_000;

/**
 * Fires at `anchorMs` and every `everyMs` after it. This is elapsed time, so a day is 24 hours in every zone. `zone`
 * is the zone in which it is shown.
 */
export type Rate = Readonly<{ everyMs: number; anchorMs: number; zone: ZoneOffsets }>;

/**
 * Makes a rate from whole milliseconds. `zone` is UTC by default. Throws a ScheduleError of field "rate.every" if the
 * interval is not from 1 s to 365 d, "rate.anchorTime" if the anchor is not a time, or "timeZone".
 */
export function createRate(everyMs: number, anchorMs: number, zone: Zone = "UTC"): Rate {
  if (!Number.isInteger(everyMs) || everyMs < MIN_RATE_MS || everyMs > MAX_RATE_MS) {
    throw new ScheduleError(
      "rate.every",
      `${everyMs / 1000}s`,
      "is too short or too long",
      "1s to 31536000s (365 days)",
    );
  }
  if (!Number.isSafeInteger(anchorMs)) {
    throw new ScheduleError(
      "rate.anchorTime",
      String(anchorMs),
      "is not a time",
      "whole milliseconds since 1970",
    );
  }
  return { everyMs, anchorMs, zone: toOffsets(zone) };
}

/**
 * Returns the first `anchorMs + n * everyMs` (n from 0 on) that is strictly later than `afterMs`, or null if it is
 * after the year 2400. Each is computed from the anchor, so there is no drift. Throws a RangeError if `afterMs` is
 * NaN.
 */
export function nextRateTime(rate: Pick<Rate, "everyMs" | "anchorMs">, afterMs: number): number | null {
  if (Number.isNaN(afterMs)) throw new RangeError("afterMs is not a number.");
  const steps = Math.max(0, Math.floor((afterMs - rate.anchorMs) / rate.everyMs) + 1);
  const next = rate.anchorMs + steps * rate.everyMs;
  return next <= LAST_SECOND * 1000 ? next : null;
}
