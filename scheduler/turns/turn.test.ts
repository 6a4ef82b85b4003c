import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCalendar } from "../../cron/calendar-spec.ts";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import type { JobRow } from "../job/job.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Policies } from "../schedules/policies.ts";
import { dueTimeOf, takeTurn } from "./turn.ts";

const START = Date.UTC(2026, 0, 1);

const POLICIES: Policies = {
  maxFires: 0,
  misfire: "FIRE_ALL",
  catchupWindowMs: 3_600_000,
  maxCatchup: 1_000,
  overlap: "ALLOW_ALL",
  bufferRoom: 0,
  deleteFinished: false,
};

const every = (ms: number): CompiledSchedule => ({
  nextAfter: (after) => START + (Math.floor((after - START) / ms) + 1) * ms,
  plan: { schedules: [] },
  policies: POLICIES,
  calendars: [],
  zoneData: "2026a",
  zones: [],
  jobUid: "job_1",
});

const row = (change: Partial<JobRow> = {}): JobRow => ({
  uid: "job_1",
  project_id: "proj_1",
  name: "payroll",
  state: "ACTIVE",
  revision: 1,
  epoch: 1,
  next_fire_time: START + 1_000,
  last_fire_time: null,
  last_seq: 0,
  pause_note: "",
  disable_reason: null,
  pause_until: null,
  wake_time: null,
  after_time: START,
  carry: {},
  create_time: START,
  update_time: START,
  spec: "{}",
  zone_data: "2026a",
  ...change,
});

/** A turn of a row at `nowMs`, without look-ahead. */
const turn = (of: JobRow, schedule: CompiledSchedule, nowMs: number, limit = 1_000) =>
  takeTurn({
    row: of,
    schedule,
    gates: [],
    nowMs,
    lookAheadMs: 0,
    busy: false,
    handed: [],
    limit,
    zoneData: "2026b",
  });

describe("the chain of a job's fire times", () => {
  test("hands over every fire time up to the horizon, the horizon included", () => {
    const { events, position } = turn(row(), every(1_000), START + 3_000);
    expect(events.map((event) => Number(event.nominalTimeMs) - START)).toEqual([1_000, 2_000, 3_000]);
    expect(position).toMatchObject({
      nextFireTimeMs: START + 4_000,
      lastFireTimeMs: START + 3_000,
      lastSeq: 3,
    });
  });

  test("links each fire time to the one before and the one after, with null at the beginning", () => {
    const { events } = turn(row(), every(1_000), START + 2_000);
    expect(events[0]).not.toHaveProperty("previousNominalTimeMs");
    expect(events[0]?.nextNominalTimeMs).toBe(BigInt(START + 2_000));
    expect(events[1]?.previousNominalTimeMs).toBe(BigInt(START + 1_000));
  });

  test("has no next fire time when the schedule ends", () => {
    const once: CompiledSchedule = { ...every(1_000), nextAfter: () => null };
    const { events, position } = turn(row(), once, START + 9_000);
    expect(events).toHaveLength(1);
    expect(events[0]).not.toHaveProperty("nextNominalTimeMs");
    expect(position.nextFireTimeMs).toBeNull();
  });

  test("is the same however the time is divided into turns", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 7 }),
        (steps, limit) => {
          const horizon = START + steps.reduce((sum, step) => sum + step, 0);
          let at = row();
          let until = START;
          const inTurns: unknown[] = [];
          const next = () => {
            const { events, position, more } = turn(at, every(1_000), until, limit);
            inTurns.push(...events.map(({ seq, nominalTimeMs }) => ({ seq, nominalTimeMs })));
            const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = position;
            at = row({
              next_fire_time: nextFireTimeMs,
              last_fire_time: lastFireTimeMs,
              last_seq: lastSeq,
              carry,
            });
            return more;
          };
          for (const step of steps) {
            until += step;
            while (next());
          }
          const whole = turn(row(), every(1_000), horizon, 1_000_000).events;
          expect(inTurns).toEqual(whole.map(({ seq, nominalTimeMs }) => ({ seq, nominalTimeMs })));
        },
      ),
    );
  });
});

test("a flexible window ends when a calendar closes, and the job keeps its relative place in the rest", () => {
  const calendar = parseCalendar({
    timeZone: "UTC",
    windows: [{ days: ["THURSDAY"], start: "00:00", end: "00:30" }],
    excludedDates: [],
  });
  const gates = [{ name: "night", calendar, outside: "SKIP" as const }];
  const hour = 3_600_000;
  const at = (jobUid: string, fireTimeMs: number) => {
    const schedule = { ...every(hour), plan: { schedules: [], flexibleWindow: { jobUid, windowMs: hour } } };
    const place = dueTimeOf({ row: row(), schedule, gates }, fireTimeMs);
    return place.kind === "AT" ? place.atMs - START : place.kind;
  };
  fc.assert(
    fc.property(fc.string(), (jobUid) => {
      // START is a Thursday's midnight; the window would reach beyond half past.
      const delayed = at(jobUid, START);
      expect(delayed).toBeLessThan(hour / 2);
      const whole = flexibleDelay(jobUid, hour, START, START + hour);
      const cut = flexibleDelay(jobUid, hour, START, START + hour / 2);
      expect(delayed).toBe(whole < hour / 2 ? whole : cut);
    }),
  );
  expect(at("job_1", START + hour)).toBe("SKIP");
});
