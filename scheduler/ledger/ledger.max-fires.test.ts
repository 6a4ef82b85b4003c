import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { Verdict, VerdictReason } from "../../gen/easycron/v1/ledger_pb.ts";
import {
  ExplainFireTimeRequestSchema,
  ListFireTimesRequestSchema,
  SkipFireTimeRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { explainFireTime } from "../explain/explain-fire-time.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listFireTimes } from "./list-fire-times.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const time = (minute: number) => timestampFromMs(START + minute * MINUTE);

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const createPayroll = (fields: JsonObject) => {
  const schedules = [{ cron: { expression: "* * * * *" } }];
  const target = { webhook: { url: "https://example.com/" } };
  return bench.createJob(fromJson(JobSchema, { name: "payroll", schedules, target, ...fields }));
};
/** Creates a calendar that is open on Mondays in the given periods. */
const createWindows = (name: string, ...periods: readonly (readonly [start: string, end: string])[]) => {
  const windows = periods.map(([start, end]) => ({ days: ["MONDAY"], start, end }));
  return createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name, windows }));
};
const at = async (minute: number) => {
  bench.setTime(START + minute * MINUTE);
  while ((await bench.tick.run()).more);
};
const skip = (minute: number) =>
  skipFireTime(
    bench.parts,
    PROJECT,
    create(SkipFireTimeRequestSchema, { job: "payroll", nominalTime: time(minute) }),
  );
const explain = async (minute: number) => {
  const request = create(ExplainFireTimeRequestSchema, { job: "payroll", nominalTime: time(minute) });
  return (await explainFireTime(bench.parts, PROJECT, request)).explanation ?? "";
};

/** The ledger from a minute to the tenth: each fire time, as minutes and seconds, with its verdict and its reason. */
async function list(fromMinute = 0): Promise<string[]> {
  const range = { startTime: time(fromMinute), endTime: time(10) };
  const request = create(ListFireTimesRequestSchema, { job: "payroll", ...range, pageSize: 1_000 });
  const { fireTimes = [] } = await listFireTimes(bench.parts, PROJECT, request);
  return fireTimes.map(({ nominalTime, verdict = 0, reason = 0 }) => {
    const clock = new Date(timestampMs(nominalTime as never)).toISOString().slice(14, 19);
    return [clock, nameOf(Verdict, verdict), ...(reason === 0 ? [] : [nameOf(VerdictReason, reason)])].join(
      " ",
    );
  });
}

function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(values).find((name) => values[name] === value) ?? "";
}

test("a job whose schedules have ended keeps every fire time in its ledger while one of them waits", async () => {
  await createWindows("gap", ["09:00", "09:03"], ["09:06", "10:00"]);
  const calendars = [{ name: "gap", outside: "OUTSIDE_DEFER" }];
  await createPayroll({ maxFires: 4, endTime: "2026-03-02T09:05:00Z", calendars });
  for (let minute = 1; minute <= 5; minute++) await at(minute);
  const skipped = ["04:00 SKIPPED OUTSIDE_CALENDAR", "05:00 SKIPPED OUTSIDE_CALENDAR"];
  expect(await list()).toEqual(["01:00 TRIGGERED", "02:00 TRIGGERED", "03:00 UPCOMING", ...skipped]);
  expect(await explain(3)).not.toContain("maxFires");
  await at(6);
  expect(await list()).toEqual(["01:00 TRIGGERED", "02:00 TRIGGERED", "03:00 TRIGGERED", ...skipped]);
});

test("a fire time that waits after the end of the schedules can be skipped", async () => {
  await createWindows("gap", ["09:00", "09:03"], ["09:06", "10:00"]);
  const calendars = [{ name: "gap", outside: "OUTSIDE_DEFER" }];
  await createPayroll({ maxFires: 4, endTime: "2026-03-02T09:03:00Z", calendars });
  for (let minute = 1; minute <= 4; minute++) await at(minute);
  expect((await skip(3)).fireTime).toMatchObject({ reason: VerdictReason.SKIPPED_BY_REQUEST });
  await at(6);
  expect(await list()).toEqual(["01:00 TRIGGERED", "02:00 TRIGGERED", "03:00 SKIPPED SKIPPED_BY_REQUEST"]);
});

test("the last trigger of maxFires is in the ledger, and can be skipped, before it is due", async () => {
  await createPayroll({ maxFires: 2 });
  await at(1);
  await at(1.95);
  expect(await list()).toEqual(["01:00 TRIGGERED", "02:00 TRIGGERED"]);
  await skip(2);
  expect(await list()).toEqual(["01:00 TRIGGERED", "02:00 SKIPPED SKIPPED_BY_REQUEST", "03:00 UPCOMING"]);
});

test("fire times deferred to an opening that has its trigger already do not count towards maxFires", async () => {
  await createWindows("late", ["09:03", "10:00"]);
  const expression = "0,58,59 * * * * *";
  await createPayroll({
    maxFires: 2,
    schedules: [{ cron: { expression, dialect: "CRON_DIALECT_WITH_SECONDS" } }],
    calendars: [{ name: "late", outside: "OUTSIDE_DEFER" }],
  });
  await at(2);
  await at(2.95);
  expect(await list(2.5)).toEqual(["02:58 UPCOMING", "02:59 UPCOMING", "03:00 UPCOMING"]);
  await at(4);
  expect(await list(2.5)).toEqual([
    "02:58 SKIPPED OUTSIDE_CALENDAR",
    "02:59 SKIPPED OUTSIDE_CALENDAR",
    "03:00 TRIGGERED",
  ]);
});
