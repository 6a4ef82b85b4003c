import fc from "fast-check";
import { expect, test } from "vitest";
import { flexibleDelay } from "./flexible-window.ts";

test("the delay is the same for one job, and spread over the window for many jobs", () => {
  expect(flexibleDelay("job_1", 300_000, 0, null)).toBe(flexibleDelay("job_1", 300_000, 86_400_000, null));
  const delays = Array.from({ length: 3_000 }, (_, n) => flexibleDelay(`job_${n}`, 300_000, 0, null));
  for (let third = 0; third < 3; third += 1) {
    const inside = delays.filter((delay) => Math.floor(delay / 100_000) === third);
    expect(inside.length).toBeGreaterThan(900);
  }
});

test("the delay is the same in every release", () => {
  expect(flexibleDelay("job_01arz3ndektsv4rrffq69g5fav", 300_000, 0, null)).toMatchInlineSnapshot(`92054`);
});

test("the delay stays in the window and before the next fire time", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(86_400_000), fc.nat(86_400_000), (uid, windowMs, interval) => {
      const delay = flexibleDelay(uid, windowMs, 1_000, 1_000 + interval + 1);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThan(Math.min(Math.max(windowMs, 1), interval + 1));
    }),
  );
});
