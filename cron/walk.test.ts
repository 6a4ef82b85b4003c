import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createOnce } from "./once.ts";
import { createRate } from "./rate.ts";
import { createCronSchedule, nextOf, type Schedule } from "./schedule.ts";
import { randomCron } from "./testing/random-cron.ts";
import { walkFireTimes } from "./walk.ts";

const HOUR = 3_600_000;
const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 200);

function byNext(schedules: readonly Schedule[], fromMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let atMs = nextOf(schedules, fromMs - 1); atMs !== null && atMs < untilMs; ) {
    times.push(atMs);
    atMs = nextOf(schedules, atMs);
  }
  return times;
}

const zones = ["UTC", "Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"];
const changes = [
  Date.UTC(2026, 2, 29, 1),
  Date.UTC(2026, 9, 25, 1),
  Date.UTC(2026, 3, 4, 15),
  Date.UTC(2026, 9, 3, 15, 30),
  Date.UTC(2026, 2, 8, 5, 30),
  Date.UTC(2026, 10, 1, 4, 30),
  Date.UTC(2026, 5, 30, 12),
];

describe("the slow walk", () => {
  test("agrees with the evaluator on any expression, zone, policy and instant", () => {
    const cases = fc.record({
      cron: fc.oneof(randomCron(true, false), randomCron(true, true), randomCron(false, false)),
      zone: fc.constantFrom(...zones),
      gap: fc.constantFrom("FIRE_AT_END" as const, "SKIP" as const),
      overlap: fc.constantFrom("FIRST" as const, "SECOND" as const, "BOTH" as const),
      change: fc.constantFrom(...changes),
      before: fc.integer({ min: 0, max: 12 * 60 }),
    });
    fc.assert(
      fc.property(cases, ({ cron, zone, gap, overlap, change, before }) => {
        const dialect = cron.text.split(" ").length === 6 ? "WITH_SECONDS" : "STANDARD";
        const dst = { gap, overlap };
        const schedule = createCronSchedule({ expression: cron.text, dialect, timeZone: zone, dst });
        const range = { fromMs: change - before * 60_000, untilMs: change + 8 * HOUR, looks: 1e6 };
        const { timesMs, untilMs } = walkFireTimes([schedule], {}, range);
        expect(untilMs).toBe(range.untilMs);
        expect(timesMs).toEqual(byNext([schedule], range.fromMs, range.untilMs));
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the union of schedules of all kinds within the bounds", () => {
    const fromMs = Date.UTC(2026, 2, 2, 9);
    const schedules: Schedule[] = [
      createCronSchedule({ expression: "*/20 * * * *" }),
      { kind: "rate", ...createRate(25 * 60_000, fromMs - HOUR) },
      { kind: "once", ...createOnce(fromMs + 61_000) },
    ];
    const bounds = { startMs: fromMs + 60_000, endMs: fromMs + HOUR };
    const { timesMs } = walkFireTimes(schedules, bounds, { fromMs, untilMs: fromMs + 2 * HOUR, looks: 1e6 });
    const minutes = timesMs.map((atMs) => (atMs - fromMs) / 60_000);
    expect(minutes).toEqual([61 / 60, 15, 20, 40, 60]);
  });

  test("says where it ended when its looks are used up", () => {
    const fromMs = Date.UTC(2026, 2, 2, 9);
    const schedules = [createCronSchedule({ expression: "* * * * *" })];
    const walk = walkFireTimes(schedules, {}, { fromMs, untilMs: fromMs + 9 * HOUR, looks: 100 });
    expect(walk.untilMs).toBe(fromMs + 2 * HOUR);
    expect(walk.timesMs).toHaveLength(120);
  });

  test("takes one look for each hour in which a rare job does not fire", () => {
    const fromMs = Date.UTC(2026, 2, 2);
    const schedules = [createCronSchedule({ expression: "0 9 * * *" })];
    const walk = walkFireTimes(schedules, {}, { fromMs, untilMs: fromMs + 48 * HOUR, looks: 170 });
    expect(walk.timesMs).toEqual([fromMs + 9 * HOUR, fromMs + 33 * HOUR]);
    expect(walk).toMatchObject({ untilMs: fromMs + 48 * HOUR, looks: 46 + 2 * 60 });
  });
});
