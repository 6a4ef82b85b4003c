import { describe, expect, test } from "vitest";
import { parseCalendar } from "../../cron/calendar-spec.ts";
import { expectedFireTimes, type WatchedEpoch, type WatchedLedger } from "./expected.ts";
import { compileRevision } from "./watched-revision.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 2, 2, 9);
const at = (minute: number) => START + minute * MINUTE;
const WITHIN = 5 * MINUTE;

const minutely = { schedules: [{ cron: { expression: "* * * * *" } }] };
const revisionOf = (spec: object) => compileRevision("job_1", JSON.stringify(spec));
const active = (revision: number, afterMinute: number, endMinute: number | null = null): WatchedEpoch => ({
  isActive: true,
  revision,
  afterMs: at(afterMinute),
  endMs: endMinute === null ? null : at(endMinute),
});

function ledgerOf(spec: object, change: Partial<WatchedLedger> = {}): WatchedLedger {
  return {
    jobUid: "job_1",
    epochs: [active(1, 0)],
    revisions: new Map([[1, revisionOf(spec)]]),
    pauseUntilMs: null,
    isFinished: false,
    lastFireTimeMs: null,
    gatesAt: () => [],
    ...change,
  };
}

/** The minutes of the fire times that are due at a minute, and the minute of the next look. */
function expectAt(ledger: WatchedLedger, nowMinute: number, { afterMinute = 0, limit = 100 } = {}) {
  const range = { afterMs: at(afterMinute), nowMs: at(nowMinute), withinMs: WITHIN, limit };
  const { due, untilMs, nextMs } = expectedFireTimes(ledger, range);
  const toMinute = (ms: number) => (ms - START) / MINUTE;
  return {
    due: due.map(({ atMs }) => toMinute(atMs)),
    until: toMinute(untilMs),
    next: nextMs === null ? null : toMinute(nextMs),
  };
}

describe("the fire times that must have succeeded", () => {
  test("are those whose deadline has come, each once", () => {
    const ledger = ledgerOf(minutely);
    expect(expectAt(ledger, 5)).toEqual({ due: [], until: 0, next: 6 });
    expect(expectAt(ledger, 8)).toEqual({ due: [1, 2, 3], until: 3, next: 9 });
    expect(expectAt(ledger, 8, { afterMinute: 3 })).toEqual({ due: [], until: 3, next: 9 });
    expect(expectAt(ledger, 60, { limit: 2 })).toEqual({ due: [1, 2], until: 2, next: 60 });
  });

  test("are none of a pause, and follow each revision while it is in effect", () => {
    const epochs = [active(1, 0, 3), { ...active(1, 3, 6), isActive: false }, active(2, 6)];
    const hourly = revisionOf({ schedules: [{ cron: { expression: "*/10 * * * *" } }] });
    const ledger = ledgerOf(minutely, {
      epochs,
      revisions: new Map([
        [1, revisionOf(minutely)],
        [2, hourly],
      ]),
    });
    expect(expectAt(ledger, 60).due).toEqual([1, 2, 3, 10, 20, 30, 40, 50]);
  });

  test("come again when a pause has reached its end, even if nobody has resumed the job", () => {
    const epochs = [active(1, 0, 2), { ...active(1, 2), isActive: false }];
    expect(expectAt(ledgerOf(minutely, { epochs }), 20).due).toEqual([1, 2]);
    expect(expectAt(ledgerOf(minutely, { epochs, pauseUntilMs: at(9) }), 16).due).toEqual([1, 2, 9, 10, 11]);
  });

  test("end with the last trigger of a job that has fired as often as it may", () => {
    const ledger = ledgerOf({ ...minutely, maxFires: 2 }, { isFinished: true, lastFireTimeMs: at(2) });
    expect(expectAt(ledger, 60)).toEqual({ due: [1, 2], until: 2, next: null });
  });

  test("are not those that a closed calendar skips; those that it defers have time from its opening on", () => {
    const windows = [{ days: ["MONDAY"], start: "09:03", end: "24:00" }];
    const calendar = parseCalendar({ timeZone: "UTC", windows, excludedDates: [] });
    const gatesOf = (outside: "SKIP" | "DEFER") =>
      ledgerOf(
        { ...minutely, calendars: [{ name: "open", outside: `OUTSIDE_${outside}` }] },
        {
          gatesAt: () => [{ name: "open", outside, calendar }],
        },
      );
    expect(expectAt(gatesOf("SKIP"), 10).due).toEqual([3, 4, 5]);
    expect(expectAt(gatesOf("DEFER"), 7)).toEqual({ due: [], until: 0, next: 8 });
    expect(expectAt(gatesOf("DEFER"), 10).due).toEqual([1, 4, 5]);
  });

  test("of a flexible window have time from their own place in it on", () => {
    const ledger = ledgerOf({ schedules: [{ cron: { expression: "0 * * * *" } }], flexibleWindow: "600s" });
    const { next } = expectAt(ledger, 60);
    expect(next).toBeGreaterThanOrEqual(65);
    expect(next).toBeLessThan(75);
  });
});
