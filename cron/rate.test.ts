import fc from "fast-check";
import { expect, test } from "vitest";
import { ScheduleError } from "./errors.ts";
import { createRate, MAX_RATE_MS, nextRateTime } from "./rate.ts";

test("a rate fires at its anchor and at multiples of the interval after it, without drift", () => {
  const rate = createRate(90_000, Date.parse("2026-01-01T00:00:00Z"));
  const next = (after: string) => new Date(nextRateTime(rate, Date.parse(after)) ?? 0).toISOString();
  expect(next("2025-06-01T00:00:00Z")).toBe("2026-01-01T00:00:00.000Z");
  expect(next("2026-01-01T00:00:00Z")).toBe("2026-01-01T00:01:30.000Z");
  expect(next("2026-01-01T00:01:29.999Z")).toBe("2026-01-01T00:01:30.000Z");
  expect(next("2026-01-01T00:01:30Z")).toBe("2026-01-01T00:03:00.000Z");
  expect(next("2126-01-01T00:00:01Z")).toBe("2126-01-01T00:01:30.000Z");
});

test("the next time of a rate is always later, on the grid, and never skips a step", () => {
  const every = fc.integer({ min: 1_000, max: MAX_RATE_MS });
  const time = fc.integer({ min: 0, max: Date.UTC(2300) });
  fc.assert(
    fc.property(every, time, time, (everyMs, anchorMs, afterMs) => {
      const next = nextRateTime(createRate(everyMs, anchorMs), afterMs) ?? 0;
      expect(next).toBeGreaterThan(afterMs);
      expect((next - anchorMs) % everyMs).toBe(0);
      expect(next === anchorMs || next - everyMs <= afterMs).toBe(true);
    }),
  );
});

test.each([0, -1, 999, 1_000.5, MAX_RATE_MS + 1, Number.NaN, Number.POSITIVE_INFINITY])(
  "refuses an interval of %d ms",
  (everyMs) => {
    expect(() => createRate(everyMs, 0)).toThrow(ScheduleError);
    expect(() => createRate(everyMs, 0)).toThrow(expect.objectContaining({ field: "rate.every" }));
  },
);

test("a rate refuses an anchor that is not a time, and ends with the year 2400", () => {
  expect(() => createRate(1_000, Number.NaN)).toThrow(expect.objectContaining({ field: "rate.anchorTime" }));
  expect(nextRateTime(createRate(1_000, 0), Date.UTC(2401, 0, 1))).toBeNull();
  expect(nextRateTime(createRate(1_000, Date.UTC(2400, 11, 31)), 0)).toBe(Date.UTC(2400, 11, 31));
  expect(nextRateTime(createRate(1_000, Date.UTC(9999, 0, 1)), 0)).toBeNull();
});
