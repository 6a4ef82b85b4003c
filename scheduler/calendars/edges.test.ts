import { create, equals, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import { ApplyJobsRequestSchema, BatchCreateJobsRequestSchema } from "../../gen/easycron/v1/job_batch_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { Edge } from "../../gen/easycron/v1/schedule_pb.ts";
import { PreviewScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { applyJobs } from "../batch/apply.ts";
import { batchCreateJobs } from "../batch/create.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import { fromSpecJson } from "../job/job.ts";
import { previewSchedule } from "../preview/preview-schedule.ts";
import { presentJob, readJob } from "../reading/read-jobs.ts";
import { getRevision } from "../revisions/read.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createCalendar, deleteCalendar } from "./change.ts";

// A Monday.
const START = Date.UTC(2026, 2, 2, 6);
const HOUR = 3_600_000;
const windows = [{ days: ["MONDAY", "TUESDAY"], start: "09:00", end: "17:30" }];
const edgeJob = (name: string, edge: Edge = Edge.OPENS, calendar = "office") => ({
  name,
  schedules: [{ kind: { case: "calendarEdge" as const, value: { calendar, edge } } }],
  target: { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } },
});

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
  await createCalendar(
    bench.parts,
    PROJECT,
    create(CalendarSchema, { name: "office", timeZone: "Europe/Paris", windows }),
  );
});
afterEach(() => bench.close());

const preview = async (edge: Edge) => {
  const job = create(JobSchema, edgeJob("", edge));
  const request = create(PreviewScheduleRequestSchema, { source: { case: "job", value: job }, count: 3 });
  request.after = timestampFromMs(START);
  const { fireTimes } = await previewSchedule(bench.parts, PROJECT, request);
  return fireTimes?.map(({ localTime }) => localTime);
};
const change = (calendar: MessageInitShape<typeof CalendarSchema>) =>
  updateAndSettleCalendar(bench.parts, PROJECT, create(UpdateCalendarRequestSchema, { calendar }));
const nextOf = async (name: string) => {
  const row = await readJob(bench.parts, PROJECT, { name });
  const { nextFireTime, revision } = await presentJob(bench.parts, row);
  return [nextFireTime === undefined ? null : (timestampMs(nextFireTime) - START) / HOUR, revision];
};

test("one job fires when the calendar opens, and another when it closes", async () => {
  expect(await preview(Edge.OPENS)).toEqual([
    "2026-03-02T09:00:00",
    "2026-03-03T09:00:00",
    "2026-03-09T09:00:00",
  ]);
  expect(await preview(Edge.CLOSES)).toEqual([
    "2026-03-02T17:30:00",
    "2026-03-03T17:30:00",
    "2026-03-09T17:30:00",
  ]);
  const job = await bench.createJob(edgeJob("opens"));
  bench.setTime(START + 2 * HOUR - 1_000);
  await bench.tick.run();
  expect((await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / HOUR)).toEqual([2]);
});

test("a change of the calendar makes a new revision of the job and withdraws triggers that were handed over early", async () => {
  const job = await bench.createJob(edgeJob("opens"));
  expect(await nextOf("opens")).toEqual([2, 1]);
  bench.setTime(START + 2 * HOUR - 1_000);
  await bench.tick.run();
  await change({ name: "office", windows: [{ days: ["MONDAY"], start: "10:00", end: "11:00" }] });
  expect(await bench.triggersOf(job.uid)).toEqual([]);
  expect(await nextOf("opens")).toEqual([3, 2]);
  const { revision: second } = await getRevision(bench.parts, PROJECT, { name: "opens", number: 2 });
  expect(second).toMatchObject({ actor: "", difference: { addedCount: 1, removedCount: 2 } });
});

test("a paused job uses the changed calendar when it is resumed", async () => {
  await bench.createJob(edgeJob("opens"));
  await pauseJob(bench.parts, { projectId: PROJECT, name: "opens" }, { note: "", untilMs: null });
  await change({ name: "office", windows: [{ days: ["MONDAY"], start: "10:00", end: "11:00" }] });
  await resumeJob(bench.parts, { projectId: PROJECT, name: "opens" });
  expect(await nextOf("opens")).toEqual([3, 2]);
});

test("the calendar's content is not part of the job's public form, cannot be given in a job, and the calendar cannot be deleted", async () => {
  const job = create(JobSchema, edgeJob("opens"));
  const [schedule] = job.schedules;
  if (schedule?.kind.case === "calendarEdge")
    schedule.kind.value.snapshot = create(CalendarSchema, { timeZone: "UTC" });
  const row = await bench.createJob(job);
  expect((await presentJob(bench.parts, row)).schedules[0]?.kind.value).not.toHaveProperty("snapshot");
  expect(await nextOf("opens")).toEqual([2, 1]);
  await expect(deleteCalendar(bench.parts, PROJECT, { name: "office", etag: "" })).rejects.toMatchObject({
    reason: "CALENDAR_IN_USE",
  });
});

test("a revision holds a calendar once, and it is compiled once, however many schedules and jobs use it", async () => {
  const excludedDates = Array.from({ length: 5_000 }, (_, n) =>
    new Date(START + (n * 2 + 1) * 86_400_000).toISOString().slice(0, 10),
  );
  await change({ name: "office", windows, excludedDates });
  const schedules = Array.from({ length: 20 }, (_, n) =>
    edgeJob("", n % 2 === 0 ? Edge.OPENS : Edge.CLOSES).schedules.map(({ kind }) => ({ kind })),
  ).flat();
  const one = await bench.createJob(edgeJob("one"));
  const many = await bench.createJob({ ...edgeJob("many"), schedules });
  expect(many.spec.length).toBeLessThan(one.spec.length + 5_000);
  const [first, ...others] = [one, many].flatMap((row) =>
    bench.parts.schedules
      .of(row)
      .plan.schedules.map((each) => (each.kind === "calendarEdge" ? each.calendar : undefined)),
  );
  expect(first).toBeDefined();
  for (const other of others) expect(other).toBe(first);
  expect(await nextOf("many")).toEqual([2, 1]);
  await change({ name: "office", windows: [{ days: ["MONDAY"], start: "10:00", end: "11:00" }] });
  expect([await nextOf("one"), await nextOf("many")]).toEqual([
    [3, 2],
    [3, 2],
  ]);
});

test("an old revision with the calendar in every schedule keeps its meaning", async () => {
  const both = [edgeJob("", Edge.CLOSES), edgeJob("", Edge.OPENS)].flatMap(({ schedules }) => schedules);
  const row = await bench.createJob({ ...edgeJob("opens"), schedules: both });
  const job = JSON.parse(row.spec);
  const [whole, reference] = job.schedules;
  expect(reference.calendarEdge.snapshot).not.toHaveProperty("windows");
  reference.calendarEdge.snapshot = whole.calendarEdge.snapshot;
  const former = fromSpecJson(JSON.stringify(job));
  expect(equals(JobSchema, former, fromSpecJson(row.spec))).toBe(true);
  expect(compileSchedule(former, row.uid).nextAfter(START)).toBe(START + 2 * HOUR);
});

test("batches and ApplyJobs accept calendar edges, and an error names a calendar that does not exist", async () => {
  const requests = [{ job: edgeJob("a") }, { job: edgeJob("b", Edge.OPENS, "none") }];
  const batch = create(BatchCreateJobsRequestSchema, { requests });
  await expect(batchCreateJobs(bench.parts, PROJECT, batch, "")).rejects.toMatchObject({
    reason: "CALENDAR_NOT_FOUND",
    violations: [{ field: "requests[1].job.schedules[0].calendarEdge.calendar" }],
  });
  const labels = { stack: "s" };
  const apply = () =>
    applyJobs(bench.parts, PROJECT, create(ApplyJobsRequestSchema, { labels, jobs: [edgeJob("a")] }), "");
  expect((await apply()).created).toEqual(["a"]);
  await change({ name: "office", timeZone: "UTC" });
  expect(await apply()).toMatchObject({ unchangedCount: 1 });
  expect(await nextOf("a")).toEqual([3, 2]);
});
