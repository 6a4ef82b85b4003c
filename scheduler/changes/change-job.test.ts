import { create, fromJson, toJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { ListJobsRequestSchema, UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { listJobs } from "../reading/list-jobs.ts";
import { readJob } from "../reading/read-jobs.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { takeTurn } from "../turns/turn.ts";
import { deleteJob, pauseJob, resumeJob } from "./pause-job.ts";
import { updateJob } from "./update-job.ts";

const START = Date.UTC(2026, 2, 1, 9);
const reference = { projectId: PROJECT, name: "payroll" };

let bench: SchedulerBench;
let job: JobRow;

beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(everySecond("payroll"));
});
afterEach(() => bench.close());

/** What a tick would hand over for the first seconds. */
const ahead = (row: JobRow, seconds: number) => {
  const schedule = bench.parts.schedules.of(row);
  const lookAheadMs = seconds * 1_000;
  const now = bench.parts.clock.now();
  const aheadMs = START + lookAheadMs - now;
  return takeTurn({
    row,
    schedule,
    gates: [],
    nowMs: now,
    lookAheadMs: aheadMs,
    busy: false,
    handed: [],
    limit: 100,
    zoneData: "",
  }).events;
};
const seconds = async () => (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / 1_000);
const seqs = async () => (await bench.triggersOf(job.uid)).map(({ seq }) => seq);
const newPayload = () =>
  create(UpdateJobRequestSchema, {
    job: { name: "payroll", payload: { kind: { case: "stringValue", value: "new" } } },
    updateMask: { paths: ["payload"] },
  });

describe("a tick", () => {
  test("hands over each fire time within the look-ahead once", async () => {
    expect(await bench.tick.run()).toMatchObject({ events: 5, more: false });
    expect(await bench.tick.run()).toMatchObject({ events: 0, more: false });
    expect(await seconds()).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs()).toEqual([1, 2, 3, 4, 5]);
  });

  test("moves no cursor when its hand-over fails, and the next tick makes the same events", async () => {
    bench.setDispatcherDown(true);
    await expect(bench.tick.run()).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
    });
    bench.setDispatcherDown(false);
    expect((await bench.tick.run()).events).toBe(5);
    expect(await seqs()).toEqual([1, 2, 3, 4, 5]);
  });

  test("that died after the hand-over is repeated without a second trigger", async () => {
    const row = await readJob(bench.parts, PROJECT, { name: "payroll" });
    await bench.record(ahead(row, 3));
    await bench.tick.run();
    expect(await seconds()).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs()).toEqual([1, 2, 3, 4, 5]);
  });

  test("catches up after an outage in several turns and leaves out nothing", async () => {
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, { job: { name: "payroll", maxCatchup: 10_000 } }),
    );
    bench.setTime(START + 2_500_000);
    let turns = 0;
    while ((await bench.tick.run()).events > 0) turns += 1;
    expect(turns).toBe(3);
    expect(await seqs()).toEqual(Array.from({ length: 2_505 }, (_, index) => index + 1));
  });
});

describe("a specification", () => {
  test("is kept as it was written, whatever JSON its payload is", async () => {
    const payload = fromJson(ValueSchema, { nul: "a\u0000b", huge: [1e308, 1e-300], order: { z: 1, a: 2 } });
    await bench.createJob({ ...everySecond("odd"), payload });
    const row = await readJob(bench.parts, PROJECT, { name: "odd" });
    expect(fromSpecJson(row.spec).payloadJson).toBe(toJsonString(ValueSchema, payload));
    expect(row.spec.length).toBeLessThan(1_000);
  });

  test("has its payload as the text that the gateway sent, and a mask may name either field of it", async () => {
    const text = '{"id":9007199254740993,"10":1.0,"2":-0}';
    const update = (payloadJson: string, ...paths: string[]) =>
      updateJob(
        bench.parts,
        PROJECT,
        create(UpdateJobRequestSchema, { job: { name: "payroll", payloadJson }, updateMask: { paths } }),
      );
    const textOf = ({ row }: { row: JobRow }) => fromSpecJson(row.spec).payloadJson;
    expect(textOf(await update(text))).toBe(text);
    expect(textOf(await update("1", "labels"))).toBe(text);
    expect(textOf(await update("1.0", "payload"))).toBe("1.0");
    const last = await update("1.00", "payload_json");
    expect([textOf(last), last.row.revision]).toEqual(["1.00", 4]);
  });

  test("that an older version wrote, with its payload as a value, is the same as one with the text", async () => {
    const payload = fromJson(ValueSchema, { a: [1, null], b: "é" });
    const old = toJsonString(JobSchema, create(JobSchema, { name: "a", payload }));
    const { payload: value, payloadJson } = fromSpecJson(old);
    expect([value, payloadJson]).toEqual([undefined, '{"a":[1,null],"b":"é"}']);
  });

  test("that is large makes a page of ListJobs shorter, and no job is left out", async () => {
    const payload = fromJson(ValueSchema, "x".repeat(60_000));
    for (let index = 0; index < 80; index++)
      await bench.createJob({ ...everySecond(`large-${index}`), payload });
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await listJobs(
        bench.parts,
        PROJECT,
        create(ListJobsRequestSchema, { pageSize: 500, pageToken }),
      );
      expect(page.jobs.length).toBeLessThan(80);
      names.push(...page.jobs.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(names).size).toBe(81);
  });
});

describe("two ticks at once", () => {
  test("share the jobs and make each trigger once", async () => {
    const others = await Promise.all(
      Array.from({ length: 20 }, (_, index) => bench.createJob(everySecond(`other-${index}`))),
    );
    const ticks = await Promise.all([bench.tick.run(), bench.tick.run(), bench.tick.run()]);
    const last = await bench.tick.run();
    expect([...ticks, last].reduce((sum, { events }) => sum + events, 0)).toBe(21 * 5);
    for (const { uid } of [job, ...others]) expect(await bench.triggersOf(uid)).toHaveLength(5);
  });
});

describe("a change", () => {
  test("withdraws triggers that were handed over early and have not started, and the chain continues from there", async () => {
    await bench.tick.run();
    bench.setTime(START + 2_500);
    await pauseJob(bench.parts, reference, { note: "holidays", untilMs: null });
    expect(await seconds()).toEqual([1, 2]);
    bench.setTime(START + 60_000);
    expect((await bench.tick.run()).events).toBe(0);
    await resumeJob(bench.parts, reference);
    await bench.tick.run();
    expect(await seconds()).toEqual([1, 2, 61, 62, 63, 64, 65]);
    expect(await seqs()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("keeps a trigger that has started, and its place in the chain, even when its fire time is later", async () => {
    await bench.tick.run();
    const third = (await bench.triggersOf(job.uid))[2];
    await bench.start(third?.id ?? "");
    bench.setTime(START + 2_500);
    await updateJob(bench.parts, PROJECT, newPayload());
    expect(await seconds()).toEqual([1, 2, 3]);
    await bench.tick.run();
    const triggers = await bench.triggersOf(job.uid);
    expect(triggers.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(triggers.map(({ revision }) => revision)).toEqual([1, 1, 1, 2, 2, 2, 2]);
  });

  test("keeps triggers before one that has started, which the dispatcher has not started in time", async () => {
    await bench.tick.run();
    const fourth = (await bench.triggersOf(job.uid))[3];
    await bench.start(fourth?.id ?? "");
    bench.setTime(START + 1_500);
    await updateJob(bench.parts, PROJECT, newPayload());
    expect(await seconds()).toEqual([1, 2, 3, 4]);
    await bench.tick.run();
    expect(await seqs()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("first hands over the backlog of an outage, which belongs to the old revision", async () => {
    bench.setTime(START + 3_500);
    const updated = await updateJob(bench.parts, PROJECT, newPayload());
    expect(updated.row).toMatchObject({ revision: 2, last_seq: 3, next_fire_time: START + 4_000 });
    expect((await bench.triggersOf(job.uid)).map(({ revision }) => revision)).toEqual([1, 1, 1]);
  });

  test("is refused while the backlog cannot be handed over, and changes nothing", async () => {
    bench.setTime(START + 3_500);
    bench.setDispatcherDown(true);
    await expect(pauseJob(bench.parts, reference, { note: "", untilMs: null })).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
    });
    expect(await readJob(bench.parts, PROJECT, { name: "payroll" })).toMatchObject({
      state: "ACTIVE",
      epoch: 1,
    });
  });

  test("makes the dispatcher refuse events from before the change, so that a stalled scheduler cannot bring them back", async () => {
    const row = await readJob(bench.parts, PROJECT, { name: "payroll" });
    const stale = ahead(row, 5);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await bench.record(stale);
    expect(await seconds()).toEqual([]);
  });

  test("waits for triggers that are just being recorded, and withdraws them", async () => {
    for (let round = 0; round < 20; round++) {
      const row = await readJob(bench.parts, PROJECT, { name: "payroll" });
      const events = ahead(row, 5);
      await Promise.all([
        bench.record(events),
        pauseJob(bench.parts, reference, { note: `round ${round}`, untilMs: null }),
      ]);
      expect(await seconds()).toEqual([]);
      await resumeJob(bench.parts, reference);
    }
  });

  test("adds no revision when nothing changes", async () => {
    await updateJob(bench.parts, PROJECT, newPayload());
    const again = await updateJob(bench.parts, PROJECT, newPayload());
    expect(again.row).toMatchObject({ revision: 2, epoch: 2 });
  });

  test("with an outdated etag is refused", async () => {
    const request = newPayload();
    if (request.job !== undefined) request.job.etag = `${job.uid.slice(-6)}-1`;
    await updateJob(bench.parts, PROJECT, request);
    await expect(updateJob(bench.parts, PROJECT, request)).rejects.toMatchObject({ reason: "ETAG_MISMATCH" });
  });
});

describe("a deletion", () => {
  test("cancels a trigger whose attempt fails at the same moment", async () => {
    await bench.tick.run();
    const [first, second] = await bench.triggersOf(job.uid);
    await bench.start(first?.id ?? "");
    await bench.start(second?.id ?? "");
    bench.setTime(START + 5_500);
    const deleting = await bench.whileLocked(first?.id ?? "", async () => {
      const deletion = deleteJob(bench.parts, reference);
      await bench.untilBlocked();
      await bench.fail(second?.id ?? "");
      return { deletion };
    });
    await deleting.deletion;
    const [, row] = await bench.triggersOf(job.uid);
    expect(row).toMatchObject({ state: "CANCELLED" });
  });

  test("cancels triggers that have not ended, and frees the name", async () => {
    await bench.tick.run();
    bench.setTime(START + 2_500);
    await deleteJob(bench.parts, reference);
    expect((await bench.triggersOf(job.uid)).map(({ state }) => state)).toEqual(["CANCELLED", "CANCELLED"]);
    await expect(readJob(bench.parts, PROJECT, { name: "payroll" })).rejects.toMatchObject({
      reason: "JOB_NOT_FOUND",
    });
    expect((await bench.createJob(everySecond("payroll"))).uid).not.toBe(job.uid);
  });
});
