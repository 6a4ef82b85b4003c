import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { ReplayTriggerRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { deleteJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench, type TriggerRow } from "../testing/bench.ts";
import { replayTrigger } from "./replay-trigger.ts";

const START = Date.UTC(2026, 0, 1);

let bench: SchedulerBench;
let job: JobRow;
let dead: TriggerRow;
beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(everySecond("payroll"));
  bench.setTime(START + 2_000);
  await bench.tick.run();
  const [first] = await bench.triggersOf(job.uid);
  if (first === undefined) throw new Error("The job has no trigger.");
  dead = first;
  await spoil("update dispatcher.triggers set attempt_count = 8 where id = $1");
  await bench.finish(dead.id, "EXHAUSTED");
  bench.setTime(START + 60_000);
});
afterEach(() => bench.close());

const spoil = (text: string) => bench.spoil("dispatcher", text, [dead.id]);
const stateNow = async () => (await bench.triggersOf(job.uid)).find(({ id }) => id === dead.id)?.state;

/** Replays the trigger. The dispatcher that is asked for it answers with its id alone. */
function replay(more: MessageInitShape<typeof ReplayTriggerRequestSchema> = {}, projectId = PROJECT) {
  const getTrigger = async ({ request }: { request?: { id?: string } }) => ({
    response: { trigger: { id: request?.id } },
  });
  const dispatcher = { getTrigger } as unknown as Parts["dispatcher"];
  const request = create(ReplayTriggerRequestSchema, { id: dead.id, ...more });
  return replayTrigger({ ...bench.parts, dispatcher }, projectId, request);
}
const refusal = (problem: RegExp) =>
  expect.objectContaining({ reason: "TRIGGER_NOT_REPLAYABLE", message: expect.stringMatching(problem) });

describe("a replay of a trigger", () => {
  test("makes it due now, under its id and the job's present revision; its attempts go on being counted", async () => {
    const target = { kind: { case: "webhook" as const, value: { url: "https://example.com/mended" } } };
    const change = { job: { name: "payroll", target }, updateMask: { paths: ["target"] } };
    await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, change));
    expect(await replay()).toEqual({ id: dead.id });
    const [present] = await bench.triggersOf(job.uid);
    expect(present).toEqual({ ...dead, state: "PENDING", revision: 2, effectiveMs: START + 60_000 });
    const counted = `do $$ begin assert (select attempt_count = 8 and attempt_base = 8 and cancel_time is null
      from dispatcher.triggers where id = '${dead.id}'); assert exists (select from dispatcher.live_triggers
      where id = '${dead.id}' and attempt_base = 8 and owner is null); end $$`;
    await bench.spoil("dispatcher", counted);
  });

  test("is made once when ten calls come at once", async () => {
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => replay()));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const call of calls) {
      if (call.status === "rejected") expect(call.reason).toEqual(refusal(/it is PENDING. Wait/));
    }
  });

  test("is made once with one request id, also when the trigger has ended again; with a new one it is made again", async () => {
    await Promise.all(Array.from({ length: 10 }, () => replay({ requestId: "mend-1" })));
    expect(await stateNow()).toBe("PENDING");
    await bench.finish(dead.id, "EXHAUSTED");
    expect(await replay({ requestId: "mend-1" })).toEqual({ id: dead.id });
    expect(await stateNow()).toBe("EXHAUSTED");
    await expect(replay({ requestId: "mend-1", force: true })).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
    await replay({ requestId: "mend-2" });
    expect(await stateNow()).toBe("PENDING");
  });

  test("changes nothing when it is refused: a later call with the same request id is made", async () => {
    await spoil("update dispatcher.triggers set state = 'RUNNING', end_time = null where id = $1");
    await expect(replay({ requestId: "early" })).rejects.toEqual(refusal(/it is RUNNING/));
    await bench.finish(dead.id, "EXHAUSTED");
    await replay({ requestId: "early" });
    expect(await stateNow()).toBe("PENDING");
  });

  test("needs force after a success, and keeps the attempt that is recorded in the trigger's row", async () => {
    await spoil(`update dispatcher.triggers set state = 'SUCCEEDED', attempt_count = 1, start_time = create_time,
      first_attempt_id = 'att_first', first_duration_ms = 7, first_status_code = 200, first_response_body = 'ok'
      where id = $1`);
    await expect(replay()).rejects.toEqual(refusal(/it has SUCCEEDED. Set force/));
    await replay({ force: true });
    expect(await stateNow()).toBe("PENDING");
    const kept = `do $$ begin assert exists (select from dispatcher.attempts where trigger_id = '${dead.id}'
      and number = 1 and id = 'att_first' and outcome = 'SUCCEEDED' and response_body = 'ok'); end $$`;
    await bench.spoil("dispatcher", kept);
  });

  test("includes manual runs and cancelled triggers", async () => {
    await spoil("update dispatcher.triggers set kind = 'MANUAL', cancel_time = create_time where id = $1");
    await bench.finish(dead.id, "CANCELLED");
    await replay();
    expect(await stateNow()).toBe("PENDING");
  });

  const redeliver = () =>
    bench.spoil(
      "scheduler",
      "select dispatcher.redeliver($1, $2, array[$3::timestamptz], false, $4, 1, 'job')",
      [PROJECT, job.uid, new Date(dead.atMs), new Date(bench.parts.clock.now())],
    );
  test.each([
    ["a replay, by a clock that is behind", replay, 30_000],
    ["a replay, by a clock that was set back to before the fire time", replay, 500],
    ["a backfill, by a clock that is behind", redeliver, 30_000],
    ["a backfill, by a clock that was set back to before the fire time", redeliver, 500],
  ])("is not taken back by a change of the job after %s", async (_, make, changeMs) => {
    bench.setTime(START + changeMs);
    await bench.tick.run();
    bench.setTime(START + 60_000);
    await make();
    bench.setTime(START + changeMs);
    const update = { job: { name: "payroll", labels: { team: "billing" } } };
    await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, update));
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ id: dead.id, state: "PENDING", seq: 1 });
    bench.setTime(START + changeMs + 5_000);
    while ((await bench.tick.run()).more);
    const seqs = (await bench.triggersOf(job.uid)).map(({ seq }) => seq);
    expect(seqs.length).toBeGreaterThan(1);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  test("keeps an earlier trigger that has not started, as a trigger that has started does", async () => {
    const [, second] = await bench.triggersOf(job.uid);
    await bench.finish(second?.id ?? "", "EXHAUSTED");
    await spoil("update dispatcher.triggers set state = 'PENDING', end_time = null where id = $1");
    await replay({ id: second?.id ?? "" });
    bench.setTime(START + 500);
    const update = { job: { name: "payroll", labels: { team: "billing" } } };
    await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, update));
    expect((await bench.triggersOf(job.uid)).map(({ id, seq }) => [id, seq])).toEqual([
      [dead.id, 1],
      [second?.id, 2],
    ]);
  });

  test("is refused for a deleted job, another project and an id that does not exist", async () => {
    await expect(replay({}, "proj_other")).rejects.toMatchObject({ reason: "TRIGGER_NOT_FOUND" });
    const id = "trg_00000000000000000000000000";
    await expect(replay({ id })).rejects.toMatchObject({ reason: "TRIGGER_NOT_FOUND" });
    await deleteJob(bench.parts, { projectId: PROJECT, name: "payroll" });
    await expect(replay()).rejects.toEqual(refusal(/its job "job" is deleted/));
    expect(await stateNow()).toBe("EXHAUSTED");
  });
});
