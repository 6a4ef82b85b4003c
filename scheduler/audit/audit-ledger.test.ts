import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { runBackfill } from "../backfill/run.ts";
import { createCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "../turns/tick.ts";
import { auditJob } from "./audit-ledger.ts";

/** An instant that the evaluator passes over as long as it is set. */
const lost = vi.hoisted(() => ({ atMs: null as number | null }));
vi.mock("../../cron/next.ts", async (original) => {
  const real = await original<typeof import("../../cron/next.ts")>();
  const nextFireTime: typeof real.nextFireTime = (fields, zone, afterMs, dst) => {
    const next = real.nextFireTime(fields, zone, afterMs, dst);
    return next !== null && next === lost.atMs ? real.nextFireTime(fields, zone, next, dst) : next;
  };
  return { ...real, nextFireTime };
});

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const time = (minute: number) => new Date(START + minute * MINUTE).toISOString();

let bench: SchedulerBench;
let job: JobRow;
let made = 0;
beforeAll(async () => {
  bench = await openBench(START);
});
afterAll(() => bench.close());
beforeEach(() => {
  lost.atMs = null;
});

const at = async (minute: number) => {
  bench.setTime(START + minute * MINUTE);
  while ((await bench.tick.run()).more);
};
const upTo = async (minute: number, from = 1) => {
  for (let each = from; each <= minute; each++) await at(each);
};
const makeJob = async (fields: JsonObject = {}) => {
  bench.setTime(START);
  made += 1;
  const target = { webhook: { url: "https://example.com/" } };
  const schedules = [{ cron: { expression: "* * * * *" } }];
  job = await bench.createJob(fromJson(JobSchema, { name: `job-${made}`, schedules, target, ...fields }));
};
const reference = () => ({ projectId: PROJECT, name: job.name });
const trigger = async (minute: number) => {
  const found = (await bench.triggersOf(job.uid)).find(({ atMs }) => atMs === START + minute * MINUTE);
  if (found === undefined) throw new Error(`There is no trigger at minute ${minute}.`);
  return found;
};
/** Changes the trigger of a minute: `set` is SQL. */
const spoilTrigger = async (minute: number, set: string) =>
  bench.spoil("dispatcher", `update dispatcher.triggers set ${set} where id = $1`, [
    (await trigger(minute)).id,
  ]);
const spoilSkips = (set: string) =>
  bench.spoil("scheduler", `update scheduler.skips set ${set} where job_uid = $1`, [job.uid]);
const spoilJob = (set: string) =>
  bench.spoil("scheduler", `update scheduler.jobs set ${set} where uid = $1`, [job.uid]);
const addSkip = (minute: number, reason: string, detail = "") =>
  bench.spoil(
    "scheduler",
    `insert into scheduler.skips (job_uid, first_fire_time, last_fire_time, verdict, reason, fire_count, detail)
     values ($1, $2, $2, 'SKIPPED', $3, 1, $4)`,
    [job.uid, time(minute), reason, detail],
  );

/** What the audit finds up to now: kinds and minutes. */
async function found(): Promise<string[]> {
  const audit = await auditJob(bench.parts, job, START, bench.parts.clock.now());
  return (audit?.differences ?? []).map(({ kind, atMs }) => `${(atMs - START) / MINUTE} ${kind}`);
}
const detail = async () => {
  const audit = await auditJob(bench.parts, job, START, bench.parts.clock.now());
  return audit?.differences[0]?.detail;
};

describe("the audit finds a changed trigger:", () => {
  beforeEach(async () => {
    await makeJob();
    await upTo(6);
    expect(await found()).toEqual([]);
  });

  test("a lost trigger, and the hole it leaves in the chain", async () => {
    await bench.lose((await trigger(3)).id);
    expect(await found()).toEqual(["3 UNACCOUNTED", "4 BROKEN_CHAIN"]);
  });

  test("a second trigger of one fire time, under another id", async () => {
    await bench.spoil(
      "dispatcher",
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name,
         revision, kind, state, seq, create_time)
       select 'trg_other', fire_time, effective_time, due_time, project_id, job_uid, job_name, revision, kind, state,
              seq, create_time from dispatcher.triggers where id = $1`,
      [(await trigger(3)).id],
    );
    expect(await found()).toEqual(["3 TWO_VERDICTS", "3 WRONG_TRIGGER"]);
  });

  test("a trigger under another id", async () => {
    await spoilTrigger(3, "id = 'trg_another'");
    expect(await found()).toContain("3 WRONG_TRIGGER");
  });

  test("a trigger at no fire time", async () => {
    await spoilTrigger(3, "fire_time = fire_time + interval '1 second'");
    expect(await found()).toContain("3.0166666666666666 UNEXPECTED_TRIGGER");
  });

  test("a chain that is renumbered as a whole", async () => {
    await bench.spoil("dispatcher", "update dispatcher.triggers set seq = seq + 5 where job_uid = $1", [
      job.uid,
    ]);
    expect(await found()).toContain("1 BROKEN_CHAIN");
    expect(await found()).toContain("5 BROKEN_CHAIN");
  });

  test("a chain whose end is renumbered", async () => {
    await bench.spoil(
      "dispatcher",
      "update dispatcher.triggers set seq = seq + 5 where seq > 3 and job_uid = $1",
      [job.uid],
    );
    expect(await found()).toContain("4 BROKEN_CHAIN");
  });

  test("two triggers that have swapped their places in the chain", async () => {
    await bench.spoil(
      "dispatcher",
      "update dispatcher.triggers set seq = 7 - seq where seq in (3, 4) and job_uid = $1",
      [job.uid],
    );
    expect(await found()).toContain("3 BROKEN_CHAIN");
  });

  test.each([
    ["the one before", "previous_fire_time = fire_time - interval '2 minutes'"],
    ["the one after", "next_fire_time = fire_time + interval '2 minutes'"],
    ["how many were skipped", "previous_skipped = 1"],
    ["how many were missed", "previous_missed = 2"],
  ])("%s", async (_, set) => {
    await spoilTrigger(4, set);
    expect(await found()).toEqual(["4 BROKEN_CHAIN"]);
  });

  test.each([
    ["its revision", "revision = 2"],
    ["due before its fire time", "effective_time = fire_time - interval '1 second'"],
    ["a backfill in place of a scheduled one", "kind = 'BACKFILL', seq = 0"],
    ["a backfill with a place in the chain", "kind = 'BACKFILL'"],
  ])("%s", async (_, set) => {
    await spoilTrigger(4, set);
    expect(await found()).toContain("4 WRONG_TRIGGER");
  });
});

describe("the audit finds a changed skip:", () => {
  const missSome = async (fields: JsonObject = {}) => {
    await makeJob({ catchupWindow: "90s", ...fields });
    await at(1);
    await at(6);
    await at(7);
  };

  test("a skip with another verdict, or with a reason that the policies do not give", async () => {
    await missSome();
    expect(await found()).toEqual([]);
    await spoilSkips("verdict = 'SKIPPED'");
    expect(await found()).toContain("2 WRONG_VERDICT");
    await spoilSkips("verdict = 'MISSED', reason = 'MISFIRE_POLICY'");
    expect(await found()).toEqual(["2 WRONG_VERDICT"]);
    for (const reason of ["PAUSED", "OVERLAP", "BUFFER_FULL", "JOB_DISABLED"]) {
      await spoilSkips(`verdict = 'SKIPPED', reason = '${reason}'`);
      expect(await found(), reason).toContain("2 WRONG_VERDICT");
    }
    await spoilSkips("verdict = 'SKIPPED', reason = 'OUTSIDE_CALENDAR', detail = 'none'");
    expect(await found()).toContain("2 WRONG_VERDICT");
  });

  test("a skip whose reason needs an outage, when there was none", async () => {
    await makeJob();
    await upTo(6);
    await bench.lose((await trigger(3)).id);
    await addSkip(3, "CATCHUP_WINDOW");
    await spoilSkips("verdict = 'MISSED'");
    expect(await found()).toContain("3 WRONG_VERDICT");
  });

  test("a skip with another count, start or end, or one that overlaps another skip", async () => {
    await missSome();
    await spoilSkips("fire_count = fire_count + 1");
    expect(await found()).toContain("2 UNEXPECTED_SKIP");
    await spoilSkips("fire_count = fire_count - 1, last_fire_time = last_fire_time + interval '1 second'");
    expect(await found()).toContain("2 UNEXPECTED_SKIP");
    await spoilSkips("last_fire_time = last_fire_time - interval '1 second'");
    await addSkip(3, "OVERLAP");
    expect(await found()).toContain("3 TWO_VERDICTS");
  });

  test("a skip that begins before the audited range", async () => {
    await missSome();
    await spoilSkips("fire_count = fire_count + 1");
    const audit = await auditJob(bench.parts, job, START + 3 * MINUTE, bench.parts.clock.now());
    expect(audit?.differences).toMatchObject([{ kind: "UNEXPECTED_SKIP", atMs: START + 2 * MINUTE }]);
  });

  test("a skip at the fire time of a trigger, or within a pause", async () => {
    await makeJob();
    await upTo(2);
    await pauseJob(bench.parts, reference(), { note: "", untilMs: null });
    await upTo(4, 3);
    await resumeJob(bench.parts, reference());
    await upTo(6, 5);
    await addSkip(2, "OVERLAP");
    await addSkip(4, "OVERLAP");
    expect(await found()).toEqual(["2 TWO_VERDICTS", "4 TWO_VERDICTS"]);
  });
});

describe("an audit of a job with a calendar", () => {
  const windows = (start: string, end: string) => [{ days: ["MONDAY"], start, end }];
  const changeCalendar = (name: string, start: string, end: string) =>
    updateAndSettleCalendar(
      bench.parts,
      PROJECT,
      create(UpdateCalendarRequestSchema, {
        calendar: create(CalendarSchema, { name, windows: windows(start, end) }),
        updateMask: { paths: ["windows"] },
      }),
    );
  const withCalendar = async (outside: string) => {
    const name = `calendar-${made + 1}`;
    bench.setTime(START);
    await createCalendar(
      bench.parts,
      PROJECT,
      create(CalendarSchema, { name, windows: windows("09:00", "09:04") }),
    );
    await makeJob({ calendars: [{ name, outside }] });
    await upTo(6);
    return name;
  };

  test("reports a skip at a time when the calendar was open, although its present version is closed then", async () => {
    const name = await withCalendar("OUTSIDE_SKIP");
    await changeCalendar(name, "09:30", "09:40");
    await upTo(8, 7);
    expect(await found()).toEqual([]);
    await bench.lose((await trigger(2)).id);
    await addSkip(2, "OUTSIDE_CALENDAR", name);
    expect(await found()).toContain("2 WRONG_VERDICT");
  });

  test("accepts a skip at a time when the calendar was closed, although its present version is open then", async () => {
    const name = await withCalendar("OUTSIDE_SKIP");
    await changeCalendar(name, "09:00", "09:30");
    await upTo(9, 7);
    expect(await found()).toEqual([]);
  });

  test("reports a trigger while the calendar was closed, and a reason that applies only after the calendar", async () => {
    await withCalendar("OUTSIDE_SKIP");
    const moved = ["fire_time", "effective_time", "create_time"].map((column) => `${column} = '${time(5)}'`);
    await spoilTrigger(3, [...moved, `next_fire_time = '${time(6)}'`].join(", "));
    expect(await found()).toContain("5 TWO_VERDICTS");
    await spoilSkips(`fire_count = 1, last_fire_time = '${time(4)}'`);
    expect(await found()).toContain("5 WRONG_VERDICT");
    await spoilSkips("reason = 'SKIPPED_BY_REQUEST'");
    expect(await found()).not.toContain("4 WRONG_VERDICT");
    await spoilSkips("reason = 'CATCHUP_LIMIT', verdict = 'MISSED'");
    expect(await found()).toContain("4 WRONG_VERDICT");
  });

  test("accepts that a deferred fire time takes the opening from later fire times, and from no others", async () => {
    const name = await withCalendar("OUTSIDE_DEFER");
    expect(await found()).toEqual([]);
    await spoilJob("carry = carry - 'waiting'");
    await addSkip(4, "OUTSIDE_CALENDAR", name);
    expect(await found()).toEqual(["4 WRONG_VERDICT"]);
    await spoilSkips("detail = 'another'");
    expect(await found()).toEqual(["4 WRONG_VERDICT", "5 WRONG_VERDICT"]);
  });
});

describe("a job that no longer advances", () => {
  test("is reported when no scheduler is going to look at it", async () => {
    await makeJob();
    await upTo(2);
    await spoilJob("wake_time = null");
    expect(await found()).toEqual(["3 STALLED"]);
    expect(await detail()).toBe(
      "2026-03-02T09:03:00.000Z must be decided next, but no scheduler wakes for the job.",
    );
    await spoilJob("wake_time = next_fire_time + interval '1 minute'");
    expect(await found()).toEqual(["3 STALLED"]);
  });

  test("is reported when no scheduler has looked at it for long, but not while a backlog may be the cause", async () => {
    await makeJob();
    await upTo(2);
    await spoilJob("wake_time = next_fire_time - interval '5 seconds'");
    bench.setTime(START + 7 * MINUTE);
    expect(await found()).toEqual([]);
    bench.setTime(START + 8 * MINUTE);
    expect((await found()).slice(0, 2)).toEqual(["3 UNACCOUNTED", "4 UNACCOUNTED"]);
    const parts = { ...bench.parts, tickingSince: () => START + 6 * MINUTE };
    expect((await auditJob(parts, job, START, START + 8 * MINUTE))?.differences).toEqual([]);
  });
});

describe("a pause that does not end on time", () => {
  test("is reported when no scheduler is going to end it, or when it should have ended long ago", async () => {
    await makeJob();
    await at(1);
    await pauseJob(bench.parts, reference(), { note: "", untilMs: START + 3 * MINUTE });
    bench.setTime(START + 2.5 * MINUTE);
    expect(await found()).toEqual([]);
    bench.setTime(START + 10 * MINUTE);
    expect((await found()).slice(0, 2)).toEqual(["3 UNACCOUNTED", "4 UNACCOUNTED"]);
    bench.setTime(START + 2.5 * MINUTE);
    await spoilJob("wake_time = null");
    expect(await found()).toEqual(["3 STALLED"]);
  });
});

describe("the audit computes the fire times in two ways:", () => {
  test("it reports a fire time that the scheduler's schedules leave out", async () => {
    await makeJob();
    const { schedules } = bench.parts;
    const loadEach: typeof schedules.loadEach = async (on, rows) =>
      (await schedules.load(on, rows)).map((schedule) => ({
        ...schedule,
        nextAfter: (afterMs) => {
          const next = schedule.nextAfter(afterMs);
          return next === START + 3 * MINUTE ? schedule.nextAfter(next) : next;
        },
      }));
    const ignore = () => {};
    const parts = { ...bench.parts, schedules: { ...schedules, loadEach } };
    const tick = createTick({ ...parts, onTrouble: ignore, onMissed: ignore });
    for (let minute = 1; minute <= 5; minute++) {
      bench.setTime(START + minute * MINUTE);
      while ((await tick.run()).more);
    }
    expect(await found()).toContain("3 UNACCOUNTED");
  });

  test("it reports a fire time that the cron evaluator itself leaves out", async () => {
    await makeJob();
    lost.atMs = START + 3 * MINUTE;
    await upTo(5);
    expect(await found()).toEqual(["3 WRONG_FIRE_TIME"]);
  });
});

describe("an audit", () => {
  test("stops where a job has too many fire times, and the next audit continues there", async () => {
    bench.setTime(START);
    made += 1;
    job = await bench.createJob(everySecond(`job-${made}`));
    const nowMs = START + 3 * 60 * MINUTE;
    bench.setTime(nowMs);
    const audit = await auditJob(bench.parts, job, START, nowMs);
    expect(audit).toMatchObject({
      fireTimeCount: 10_000,
      untilMs: START + 10_001_000,
      undecidedMs: START + 1_000,
    });
    expect(await auditJob(bench.parts, job, audit?.untilMs ?? 0, nowMs)).toMatchObject({
      fireTimeCount: 799,
    });
  });

  test("lets other work run every few milliseconds", async () => {
    let [turns, done] = [0, false];
    const work = () => {
      turns += 1;
      if (!done) setImmediate(work);
    };
    setImmediate(work);
    const { database } = bench.parts;
    // From when all is read: waiting for the database is no rest.
    const snapshot: typeof database.snapshot = async (read) => {
      const value = await database.snapshot(read);
      turns = 0;
      return value;
    };
    await auditJob({ ...bench.parts, database: { ...database, snapshot } }, job, START, START + 180 * MINUTE);
    done = true;
    expect(turns).toBeGreaterThan(50);
  });

  test("stops when the caller is gone", async () => {
    const nowMs = START + 3 * 60 * MINUTE;
    const signal = AbortSignal.abort(new Error("gone"));
    await expect(auditJob(bench.parts, job, START, nowMs, signal)).rejects.toThrow("gone");
  });

  test("finds no difference after edits of the job", async () => {
    await makeJob();
    await upTo(2);
    const schedules = [{ cron: { expression: "*/2 * * * *" } }];
    const changed = fromJson(JobSchema, { name: job.name, schedules });
    await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job: changed }));
    await upTo(6, 3);
    expect(await found()).toEqual([]);
    await spoilTrigger(4, "revision = 1");
    expect(await found()).toContain("4 WRONG_TRIGGER");
  });

  test("finds no difference after a turn was lost that had handed over triggers, and its skips were decided again later", async () => {
    // The jobs of the other tests would be in the lost turn, too.
    await bench.spoil("scheduler", "update scheduler.jobs set wake_time = null");
    await makeJob({ catchupWindow: "300s", misfirePolicy: "MISFIRE_POLICY_SKIP" });
    await at(1);
    bench.setAnswerLost(true);
    await at(10).catch(() => {});
    bench.setAnswerLost(false);
    expect(await trigger(10)).toMatchObject({ kind: "SCHEDULED" });
    await at(12);
    expect(await found()).toEqual([]);
  });

  test.each([
    ["no fire time may wait", {}],
    ["fire times may wait for an earlier trigger", { overlapPolicy: "OVERLAP_POLICY_BUFFER_ALL" }],
  ])(
    "finds no difference after a forced backfill delivers a trigger by a later revision, when %s",
    async (_, fields) => {
      await makeJob(fields);
      for (const minute of [1, 2, 3, 4]) {
        await at(minute);
        await bench.succeed(job.uid);
      }
      const schedules = [{ cron: { expression: "*/2 * * * *" } }];
      const changed = fromJson(JobSchema, { name: job.name, schedules });
      await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job: changed }));
      await upTo(8, 5);
      // Both revisions have a fire time at minute 2; the next one is at minute 3 or 4.
      await backfillJob(
        bench.parts,
        PROJECT,
        fromJson(BackfillJobRequestSchema, {
          name: job.name,
          startTime: time(2),
          endTime: time(3),
          force: true,
        }),
      );
      await runBackfill(bench.parts);
      expect(await trigger(2)).toMatchObject({ revision: 2, effectiveMs: START + 8 * MINUTE });
      expect(await found()).toEqual([]);
    },
  );
});
