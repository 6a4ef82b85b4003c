import { create, fromJson, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { Verdict, VerdictReason } from "../../gen/easycron/v1/ledger_pb.ts";
import { SimulateScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { simulateSchedule } from "./simulate-schedule.ts";

// A Monday.
const NOW = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const minutely = { schedules: [{ cron: { expression: "* * * * *" } }] };

let bench: SchedulerBench;
beforeAll(async () => {
  bench = await openBench(NOW);
  const windows = [
    { days: ["MONDAY"], start: "09:00", end: "09:03" },
    { days: ["MONDAY"], start: "09:05", end: "12:00" },
  ];
  await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "office", windows }));
});
afterAll(() => bench.close());

const at = (minutes: number) => timestampFromMs(NOW + minutes * MINUTE);
const range = (from: number, to: number) => ({ startTime: at(from), endTime: at(to) });

type Asked = Omit<MessageInitShape<typeof SimulateScheduleRequestSchema>, "source" | "$typeName">;

function ask(of: string | JsonObject, asked: Asked, signal?: AbortSignal) {
  const source =
    typeof of === "string"
      ? { case: "name" as const, value: of }
      : { case: "job" as const, value: fromJson(JobSchema, of) };
  const request = create(SimulateScheduleRequestSchema, { ...asked, source });
  return simulateSchedule(bench.parts, PROJECT, request, signal);
}

const minutesOf = (time: unknown) => (timestampMs(time as never) - NOW) / MINUTE;

test("a simulation gives the verdict of each fire time of a saved job, as if the job began at the start of the range", async () => {
  const job = {
    ...minutely,
    name: "payroll",
    target: { webhook: { url: "https://example.com/" } },
    maxCatchup: 1,
  };
  await bench.createJob(fromJson(JobSchema, job));
  const outages = [range(102.5, 104.5)];
  const pauses = [range(105, 107)];
  const answer = await ask("payroll", { startTime: at(100), endTime: at(107), outages, pauses });
  expect(minutesOf(answer.simulatedUntil)).toBe(107);
  const { TRIGGERED, SKIPPED, MISSED } = Verdict;
  expect(
    answer.fireTimes?.map(({ nominalTime, ...rest }) => ({ minute: minutesOf(nominalTime), ...rest })),
  ).toEqual([
    { minute: 101, verdict: TRIGGERED, effectiveTime: at(101), kind: TriggerKind.SCHEDULED, seq: 1 },
    { minute: 102, verdict: TRIGGERED, effectiveTime: at(102), kind: TriggerKind.SCHEDULED, seq: 2 },
    { minute: 103, verdict: MISSED, reason: VerdictReason.CATCHUP_LIMIT, calendar: "" },
    { minute: 104, verdict: TRIGGERED, effectiveTime: at(104.5), kind: TriggerKind.CATCHUP, seq: 3 },
    { minute: 105, verdict: TRIGGERED, effectiveTime: at(105), kind: TriggerKind.SCHEDULED, seq: 4 },
    { minute: 106, verdict: SKIPPED, reason: VerdictReason.PAUSED, calendar: "" },
    { minute: 107, verdict: TRIGGERED, effectiveTime: at(107), kind: TriggerKind.SCHEDULED, seq: 5 },
  ]);
});

test("a simulation names the closed calendar, and defers to its opening", async () => {
  const calendars = (outside: string) => ({ ...minutely, calendars: [{ name: "office", outside }] });
  const skipping = await ask(calendars("OUTSIDE_SKIP"), { endTime: at(5) });
  expect(skipping.fireTimes?.map(({ reason, calendar }) => [reason, calendar]).slice(1, 4)).toEqual([
    [undefined, undefined],
    [VerdictReason.OUTSIDE_CALENDAR, "office"],
    [VerdictReason.OUTSIDE_CALENDAR, "office"],
  ]);
  const deferring = await ask(calendars("OUTSIDE_DEFER"), { endTime: at(5) });
  expect(deferring.fireTimes?.[2]).toMatchObject({
    verdict: Verdict.TRIGGERED,
    effectiveTime: at(5),
    seq: 3,
  });
  expect(deferring.fireTimes?.[3]).toMatchObject({
    verdict: Verdict.SKIPPED,
    calendar: "office",
    nominalTime: at(4),
  });
  const waiting = await ask(calendars("OUTSIDE_DEFER"), { endTime: at(4) });
  expect(waiting.fireTimes?.[2]).toEqual({ nominalTime: at(3), verdict: Verdict.UPCOMING });
  await expect(ask({ ...minutely, calendars: [{ name: "none" }] }, { endTime: at(1) })).rejects.toMatchObject(
    {
      reason: "CALENDAR_NOT_FOUND",
    },
  );
});

test("an unsaved rate without an anchor begins at the start of the range", async () => {
  const { fireTimes } = await ask(
    { schedules: [{ rate: { every: "90s" } }] },
    { startTime: at(500), endTime: at(504) },
  );
  expect(fireTimes?.map(({ nominalTime }) => minutesOf(nominalTime))).toEqual([501.5, 503]);
});

test("simulated triggers take the time that the request gives", async () => {
  const job = { ...minutely, overlapPolicy: "OVERLAP_POLICY_SKIP" };
  const { fireTimes } = await ask(job, { endTime: at(3), triggerDuration: durationFromMs(90_000) });
  expect(fireTimes?.map(({ reason, seq }) => reason ?? seq)).toEqual([1, VerdictReason.OVERLAP, 2]);
});

test.each<[string, Asked, string]>([
  ["an end at the start", { endTime: at(0) }, "endTime"],
  ["an end before the start", { startTime: at(9), endTime: at(8) }, "endTime"],
  ["more than ten years", { endTime: at((3_653 * DAY) / MINUTE + 1) }, "endTime"],
  ["an outage that ends at its start", { endTime: at(9), outages: [range(2, 2)] }, "outages[0]"],
  ["outages out of order", { endTime: at(9), outages: [range(4, 6), range(2, 3)] }, "outages[1]"],
  ["pauses that overlap", { endTime: at(9), pauses: [range(2, 5), range(4, 6)] }, "pauses[1]"],
])("refuses %s", async (_name, asked, field) => {
  await expect(ask(minutely, asked)).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field }],
  });
});

test("a simulation stops early when the caller is gone, and says where", async () => {
  const stopping = new AbortController();
  stopping.abort();
  const { fireTimes, simulatedUntil } = await ask(minutely, { endTime: at(5_000) }, stopping.signal);
  expect(minutesOf(simulatedUntil)).toBeLessThan(5_000);
  expect(fireTimes).toHaveLength(Math.floor(minutesOf(simulatedUntil)));
});
