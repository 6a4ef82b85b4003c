import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { Verdict } from "../../gen/easycron/v1/ledger_pb.ts";
import {
  ExplainFireTimeRequestSchema,
  SkipFireTimeRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { runBackfill } from "../backfill/run.ts";
import { createCalendar } from "../calendars/change.ts";
import { deleteJob, pauseJob } from "../changes/pause-job.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { explainFireTime } from "./explain-fire-time.ts";

const MONDAY = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;

let bench: SchedulerBench;
let job: JobRow;
let startMs = MONDAY;
let made = 0;
beforeAll(async () => {
  bench = await openBench(MONDAY);
});
afterAll(() => bench.close());

const time = (minute: number) => timestampFromMs(startMs + minute * MINUTE);
const begin = async (fields: JsonObject = {}, fromMs = MONDAY) => {
  startMs = fromMs;
  bench.setTime(startMs);
  made += 1;
  const target = { webhook: { url: "https://example.com/" } };
  const schedules = [{ cron: { expression: "* * * * *" } }];
  job = await bench.createJob(fromJson(JobSchema, { name: `job-${made}`, schedules, target, ...fields }));
};
const at = async (minute: number) => {
  bench.setTime(startMs + minute * MINUTE);
  while ((await bench.tick.run()).more);
};
const reference = () => ({ projectId: PROJECT, name: job.name });
const ask = (minute: number) => {
  const request = create(ExplainFireTimeRequestSchema, { job: job.name, nominalTime: time(minute) });
  return explainFireTime(bench.parts, PROJECT, request);
};
const explain = async (minute: number) => (await ask(minute)).explanation;
const update = (fields: JsonObject) =>
  updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: fromJson(JobSchema, { name: job.name, ...fields }) }),
  );
const calendar = async (start: string, end: string) => {
  const name = `calendar-${made + 1}`;
  bench.setTime(startMs);
  const windows = [{ days: ["MONDAY"], start, end }];
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name, windows }));
  return name;
};
const first = async () => (await bench.triggersOf(job.uid))[0]?.id ?? "";

describe("an explanation of a trigger", () => {
  test("names its state, and the result of its last attempt when no attempts are left", async () => {
    await begin();
    await at(1);
    expect(await explain(1)).toMatch(/^It made the trigger trg_\w+, which is PENDING after 0 attempts\.$/);
    await bench.start(await first());
    await bench.finish(await first(), "EXHAUSTED");
    await bench.spoil(
      "dispatcher",
      `insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, status_code, error)
       select id, fire_time, 1, 'att_1', 'REJECTED', fire_time, 5, 503, 'try later' from dispatcher.triggers where id = $1`,
      [await first()],
    );
    expect(await explain(1)).toMatch(
      /EXHAUSTED after one attempt\. The last attempt was REJECTED with status 503: try later\.$/,
    );
  });

  test("says that it is upcoming when it was handed over and is not due", async () => {
    await begin();
    await at(0.95);
    expect(await explain(1)).toMatch(
      /^It is still to come\. Its trigger trg_\w+ exists already and becomes due at /,
    );
  });

  test("names the calendar that deferred it, and an outage or a backfill that delayed it", async () => {
    const name = await calendar("09:03", "10:00");
    await begin({ calendars: [{ name, outside: "OUTSIDE_DEFER" }], catchupWindow: "600s" });
    await at(1);
    await at(2);
    await at(3);
    const opening = new Date(MONDAY + 3 * MINUTE).toISOString();
    expect(await explain(1)).toContain(
      `The calendar "${name}" was closed, so it was deferred until the calendar opened at ${opening}.`,
    );
    expect(await explain(2)).toBe(
      `The calendar "${name}" was closed until ${opening}. An earlier fire time was already deferred to that time, and only one fires then.`,
    );
    await at(6);
    expect(await explain(5)).toContain(
      "It was late because of an outage of ours, and became due as a catch-up at ",
    );
  });

  test("is given for a backfill of a time before the job's creation, when the job would not have fired", async () => {
    await begin();
    await at(1);
    const range = { startTime: time(-5), endTime: time(-3), maxPerSecond: 1_000 };
    await backfillJob(bench.parts, PROJECT, create(BackfillJobRequestSchema, { name: job.name, ...range }));
    while (await runBackfill(bench.parts));
    const { verdict, explanation } = await ask(-4);
    expect(verdict).toBe(Verdict.TRIGGERED);
    expect(explanation).toContain("A backfill made it at ");
    expect(explanation).toContain("The job did not exist then.");
  });
});

describe("an explanation of a fire time without a trigger", () => {
  test("names the start and the note of the pause, whatever changed during the pause", async () => {
    await begin();
    await at(1);
    await pauseJob(bench.parts, reference(), { note: "lunch", untilMs: null });
    await at(2.5);
    await pauseJob(bench.parts, reference(), { note: "long lunch", untilMs: null });
    await at(4);
    expect(await explain(2)).toBe(
      'The job was paused. The pause began at 2026-03-02T09:01:00.000Z ("lunch").',
    );
    expect(await explain(3)).toBe(
      'The job was paused. The pause began at 2026-03-02T09:01:00.000Z ("long lunch").',
    );
    expect(await explain(9)).toContain("The job is paused; the pause began at 2026-03-02T09:01:00.000Z");
    expect(await explain(9)).toContain("It will not fire unless it is resumed before.");
  });

  test("names the calendar that it lies outside", async () => {
    const name = await calendar("09:03", "10:00");
    await begin({ calendars: [{ name, outside: "OUTSIDE_SKIP" }] });
    expect(await explain(2)).toContain(`The calendar "${name}" is closed then, so it will be skipped.`);
    await at(2);
    expect(await explain(2)).toBe(`The calendar "${name}" was closed.`);
  });

  test.each([
    [
      "an outage longer than the window",
      { catchupWindow: "90s" },
      "older than the job's catchupWindow of 90 s",
    ],
    [
      "a limit",
      { maxCatchup: 1 },
      "The job's maxCatchup is 1, and at least that many later fire times were late too",
    ],
    [
      "a policy",
      { misfirePolicy: "MISFIRE_POLICY_SKIP" },
      "The job's misfire policy SKIP drops this fire time.",
    ],
  ])("after %s", async (_, fields, words) => {
    await begin(fields);
    await at(5);
    expect(await explain(2)).toContain(words);
  });

  test.each([
    ["OVERLAP_POLICY_SKIP", 2, "the job's overlap policy is SKIP"],
    ["OVERLAP_POLICY_BUFFER_ONE", 2, "It waits for an earlier trigger of the job to finish."],
    ["OVERLAP_POLICY_BUFFER_ONE", 3, "one fire time already waited for it"],
  ])("with %s at minute %i", async (overlapPolicy, minute, words) => {
    await begin({ overlapPolicy });
    for (const each of [1, 2, 3]) await at(each);
    expect(await explain(minute)).toContain(words);
  });

  test("says that it was skipped by request, or that it waited when the job was deleted", async () => {
    await begin({ flexibleWindow: "59s" });
    const request = create(SkipFireTimeRequestSchema, { job: job.name, nominalTime: time(2) });
    await skipFireTime(bench.parts, PROJECT, request);
    expect(await explain(2)).toBe("It will be skipped, because SkipFireTime was called for it.");
    await at(1);
    expect(await explain(1)).toMatch(/flexible window|becomes due/);
    await deleteJob(bench.parts, reference());
    expect(await explain(1)).toBe(
      "The job was disabled or deleted, or its maxFires was lowered, while this fire time was waiting to be delivered.",
    );
    expect(await explain(3)).toBe("The job was deleted at 2026-03-02T09:01:00.000Z.");
  });
});

describe("an explanation of an undecided fire time", () => {
  test("says that it is upcoming, is being decided, or is part of an outage's backlog", async () => {
    await begin();
    await at(1);
    expect(await explain(3)).toBe("It is a fire time of the job and is still to come.");
    bench.setTime(startMs + 2 * MINUTE);
    expect(await explain(2)).toBe("It is being decided now.");
    bench.setTime(startMs + 5 * MINUTE);
    expect(await explain(2)).toContain("EasyCron is working through the backlog of an outage.");
    await bench.spoil("scheduler", "update scheduler.jobs set wake_time = null where uid = $1", [job.uid]);
    expect(await explain(2)).toContain("This is an error in EasyCron");
  });

  test("says that it waits for an opening, or for its place in a flexible window", async () => {
    const name = await calendar("09:30", "10:00");
    await begin({ calendars: [{ name, outside: "OUTSIDE_DEFER" }] });
    await at(2);
    expect(await explain(1)).toBe(
      `The calendar "${name}" is closed then, so it waits until the calendar opens at 2026-03-02T09:30:00.000Z.`,
    );
    await begin({ schedules: [{ cron: { expression: "0 * * * *" } }], flexibleWindow: "3500s" });
    expect(await explain(60)).toContain("The job's flexible window delays it until ");
  });
});

describe("an explanation of an instant that is no fire time", () => {
  test("names the next fire time, or the state of the job at that instant", async () => {
    await begin({
      startTime: new Date(MONDAY + 2 * MINUTE).toISOString(),
      endTime: new Date(MONDAY + 9 * MINUTE).toISOString(),
    });
    expect(await explain(3.5)).toBe(
      "This is not a fire time of revision 1, which was in effect. The next fire time after it is 2026-03-02T09:04:00.000Z.",
    );
    expect(await explain(1)).toBe("This is before the job's startTime, 2026-03-02T09:02:00.000Z.");
    expect(await explain(10)).toBe("This is after the job's endTime, 2026-03-02T09:09:00.000Z.");
    expect(await explain(-1)).toContain("The job did not exist then.");
    await begin({ schedules: [] });
    expect(await explain(1)).toBe("The job has no schedule: it fires only when RunJob is called.");
  });

  test("names the maxFires of that time when the instant is after the last fire", async () => {
    await begin();
    await at(1);
    await at(2);
    await update({ maxFires: 2 });
    await at(4);
    expect(await explain(3)).toBe("The job does not fire then, because its maxFires of 2 is used up before.");
  });
});

describe("an explanation where clocks change", () => {
  const inParis = (dstPolicy: JsonObject = {}) => ({
    schedules: [{ cron: { expression: "30 2 * * *" }, timeZone: "Europe/Paris", dstPolicy }],
  });
  const SPRING = Date.UTC(2026, 2, 29, 0);
  const AUTUMN = Date.UTC(2026, 9, 25, 0);

  test("names a skipped local time, both at the end of the gap and at its usual place", async () => {
    await begin(inParis(), SPRING);
    expect(await explain(60)).toContain("Its local time does not exist in Europe/Paris");
    expect(await explain(90)).toContain(
      "The local time 2026-03-29T02:30:00 does not exist in Europe/Paris, because the clocks go forward. The job fires at 2026-03-29T01:00:00.000Z instead.",
    );
    await begin(inParis({ gap: "DST_GAP_SKIP" }), SPRING);
    expect(await explain(90)).toContain(
      "does not exist in Europe/Paris, because the clocks go forward. The job's dstPolicy skips it.",
    );
  });

  test("names a repeated local time, both at the pass that fires and at the other", async () => {
    await begin(inParis(), AUTUMN);
    expect(await explain(30)).toContain(
      "Its local time occurs twice in Europe/Paris, because the clocks go back. This is the first occurrence.",
    );
    expect(await explain(90)).toContain(
      "The local time 2026-10-25T02:30:00 occurs twice in Europe/Paris. The job fires at the first occurrence, 2026-10-25T00:30:00.000Z.",
    );
    await begin(inParis({ overlap: "DST_OVERLAP_SECOND" }), AUTUMN);
    expect(await explain(90)).toContain("This is the second occurrence.");
    expect(await explain(30)).toContain("The job fires at the second occurrence, 2026-10-25T01:30:00.000Z.");
  });
});
