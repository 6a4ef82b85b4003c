import fc from "fast-check";
import { expect, test } from "vitest";
import type { DstPolicy } from "./dst-policy.ts";
import { neverFires, parseCron } from "./expression.ts";
import { nextFireTime } from "./next.ts";
import { randomCron } from "./testing/random-cron.ts";
import { slowFires } from "./testing/slow-fires.ts";
import { MARGIN_MINUTES, readWallClock, type WallClock } from "./testing/wall-clock.ts";

const numRuns = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 3_000);
const timeout = 60_000 + numRuns * 20;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const WINDOW_DAYS = 3;

/** Zones, each with a day near which its clock has an unusual change. */
const TRICKY: readonly (readonly [zone: string, day: string])[] = [
  ["America/New_York", "2026-03-08"],
  ["America/New_York", "2026-11-01"],
  ["Europe/Paris", "2027-03-28"],
  ["Europe/Paris", "2027-10-31"],
  ["Europe/London", "1981-10-25"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Australia/Lord_Howe", "2026-10-04"],
  ["Pacific/Chatham", "2026-04-05"],
  ["Pacific/Chatham", "2026-09-27"],
  ["America/Nuuk", "2026-03-28"],
  ["America/Nuuk", "2026-10-24"],
  ["America/Scoresbysund", "2026-03-28"],
  ["America/Scoresbysund", "2022-10-30"],
  ["America/Havana", "2026-03-08"],
  ["America/Havana", "2026-11-01"],
  ["Atlantic/Azores", "2026-10-25"],
  ["Asia/Amman", "2021-10-29"],
  ["Asia/Amman", "2018-03-30"],
  ["Antarctica/Troll", "2026-03-29"],
  ["Antarctica/Troll", "2026-10-25"],
  ["Pacific/Apia", "2011-12-30"],
  ["Pacific/Fakaofo", "2011-12-30"],
  ["Pacific/Kwajalein", "1993-08-21"],
  ["Pacific/Kiritimati", "1994-12-31"],
  ["Africa/Casablanca", "2026-02-15"],
  ["Africa/Casablanca", "2026-03-22"],
  ["Africa/Casablanca", "2087-05-11"],
  ["Africa/El_Aaiun", "2030-02-10"],
  ["America/St_Johns", "2010-03-14"],
  ["America/St_Johns", "2010-11-07"],
  ["America/Caracas", "2007-12-09"],
  ["America/Caracas", "2016-05-01"],
  ["Asia/Pyongyang", "2015-08-15"],
  ["Asia/Pyongyang", "2018-05-05"],
  ["Antarctica/Casey", "2018-03-11"],
  ["Antarctica/Casey", "2020-10-04"],
  ["Antarctica/Vostok", "1994-02-01"],
  ["America/Danmarkshavn", "1996-01-01"],
  ["Asia/Kathmandu", "1986-01-01"],
  ["Europe/Moscow", "2011-03-27"],
  ["Europe/Moscow", "2014-10-26"],
  ["America/Sao_Paulo", "2018-11-04"],
  ["America/Asuncion", "2024-03-24"],
  ["Asia/Beirut", "2026-03-29"],
  ["Asia/Gaza", "2026-03-28"],
  ["Africa/Cairo", "2010-09-10"],
  ["Asia/Tehran", "2022-09-22"],
  ["Europe/Dublin", "2026-10-25"],
  ["Asia/Dhaka", "2009-12-31"],
  ["Europe/Volgograd", "2020-12-27"],
  ["Australia/Sydney", "2150-10-04"],
  ["America/Santiago", "2399-09-05"],
  ["Europe/Berlin", "2104-03-30"],
  ["America/Los_Angeles", "2100-11-07"],
];
const ANY_ZONES = Intl.supportedValuesOf("timeZone");
const FIRST_DAY = Date.UTC(1975, 0, 1) / DAY_MS;
const LAST_DAY = Date.UTC(2400, 11, 1) / DAY_MS;

/** A zone and a day. The wall clock of a pair is cached. */
type Place = { zone: string; dayMs: number; recurs: boolean };

const clocks = new Map<string, WallClock>();
function clockOf({ zone, dayMs, recurs }: Place): WallClock {
  const key = `${zone} ${dayMs}`;
  const clock = clocks.get(key) ?? readWallClock(zone, dayMs - DAY_MS, WINDOW_DAYS);
  if (recurs) clocks.set(key, clock);
  return clock;
}

const trickyPlace = fc
  .constantFrom(...TRICKY)
  .map<Place>(([zone, day]) => ({ zone, dayMs: Date.parse(day), recurs: true }));
const ordinaryPlace = fc.record<Place>({
  zone: fc.constantFrom(...ANY_ZONES),
  dayMs: fc.integer({ min: FIRST_DAY, max: LAST_DAY }).map((day) => day * DAY_MS),
  recurs: fc.constant(false),
});
/** One in ten is an ordinary pair, because a new pair takes 15 ms of formatting. */
const place = fc.oneof({ weight: 9, arbitrary: trickyPlace }, { weight: 1, arbitrary: ordinaryPlace });
const dst = fc.record<DstPolicy>({
  gap: fc.constantFrom("FIRE_AT_END", "SKIP"),
  overlap: fc.constantFrom("FIRST", "SECOND", "BOTH"),
});

/** How many fire times are compared in one case. They may lie anywhere in its days. */
const MAX_CHAIN = 2_000;

/** An instant within two hours of a jump of the clock, if the clock has a jump in its days. */
function nearJump(clock: WallClock, random: number, startMs: number, endMs: number): number {
  const jump = clock.jumps[random % Math.max(1, clock.jumps.length)];
  const nearMs = clock.startMs + (jump ?? 0) * 60_000 + ((random % (4 * HOUR_MS)) - 2 * HOUR_MS);
  return Math.min(Math.max(nearMs, startMs), endMs - 1);
}

function expectSameFires(seconds: boolean): void {
  const instants = fc.array(fc.nat({ max: WINDOW_DAYS * DAY_MS - 1 }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(randomCron(true, seconds), place, dst, instants, (cron, where, policy, afters) => {
      const { zone } = where;
      const clock = clockOf(where);
      const fields = parseCron(cron.text, { dialect: seconds ? "WITH_SECONDS" : "STANDARD" });
      const startMs = clock.startMs + MARGIN_MINUTES * 60_000;
      const endMs = startMs + WINDOW_DAYS * DAY_MS;
      const fires = slowFires(cron, clock, policy);
      const skipped = (afters[0] ?? 0) % Math.max(1, fires.length - MAX_CHAIN);
      const expected = fires.slice(skipped, skipped + MAX_CHAIN);
      const chain: (number | null)[] = [];
      let after = skipped === 0 ? startMs - 1 : (fires[skipped - 1] ?? 0);
      while (chain.length < expected.length) {
        const next = nextFireTime(fields, zone, after, policy);
        chain.push(next);
        after = next ?? endMs;
      }
      expect(chain, `${cron.text} ${zone}`).toEqual(expected);
      for (const [index, each] of afters.entries()) {
        const from = index % 2 === 0 ? startMs + each : nearJump(clock, each, startMs, endMs);
        const next = nextFireTime(fields, zone, from, policy) ?? endMs;
        const later = fires.find((fire) => fire > from);
        if (later !== undefined) expect(next, `${cron.text} ${zone}`).toBe(later);
        else expect(next, `${cron.text} ${zone}`).toBeGreaterThanOrEqual(endMs);
      }
    }),
    { numRuns: Math.ceil(numRuns / 2) },
  );
}

test("nextFireTime gives the fire times that a walk through the minutes of the zone gives", {
  timeout,
}, () => {
  expectSameFires(false);
});

test("nextFireTime gives the fire times of the walk also with seconds", { timeout }, () => {
  expectSameFires(true);
});

test("nextFireTime finds the days that a walk through the calendar finds, and returns null when there are none", {
  timeout,
}, () => {
  fc.assert(
    fc.property(
      randomCron(false, false),
      fc.integer({ min: 1975, max: 2380 }),
      fc.nat(365),
      (cron, year, skip) => {
        const fields = parseCron(cron.text);
        const after = Date.UTC(year, 0, 1 + skip) - 1;
        const next = nextFireTime(fields, "UTC", after);
        if (neverFires(fields)) expect(next).toBeNull();
        let expected: number | null = null;
        for (let day = after + 1; expected === null && day < after + 4000 * DAY_MS; day += DAY_MS) {
          const date = new Date(day);
          const month = date.getUTCMonth() + 1;
          if (cron.months.has(month) && cron.matchesDay(date.getUTCFullYear(), month, date.getUTCDate())) {
            expected = day + Math.min(...cron.hours) * 3_600_000 + Math.min(...cron.minutes) * 60_000;
          }
        }
        if (expected !== null) expect(next, cron.text).toBe(expected);
        else expect(next ?? Number.POSITIVE_INFINITY, cron.text).toBeGreaterThan(after + 4000 * DAY_MS);
      },
    ),
    { numRuns: Math.ceil(numRuns / 4) },
  );
});
