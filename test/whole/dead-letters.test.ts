import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

const ONE_ATTEMPT = { schedules: [], retryPolicy: { maxAttempts: 1 } };

/** Waits until a trigger has a state, and returns it. */
async function inState(id: string, state: string) {
  await scene.until(
    async () => (await scene.client.triggers.get(id)).state,
    (found) => found === state,
  );
  return scene.client.triggers.get(id);
}

/** Makes a job whose one attempt fails, and returns its dead letter. */
async function die(name: string) {
  scene.receiver.answer(`/${name}`, () => ({ status: 500 }));
  await scene.createJob(name, ONE_ATTEMPT);
  const { id } = await scene.client.jobs.run(name);
  return inState(id, "EXHAUSTED");
}

describe("a dead letter", () => {
  test("is listed, and replayed once under its id with the job's present revision", async () => {
    const dead = await die("dying");
    const list = { job: "dying", state: "TRIGGER_STATE_EXHAUSTED" };
    expect(await scene.call("TriggerService/ListTriggers", list)).toMatchObject({
      triggers: [{ id: dead.id, state: "TRIGGER_STATE_EXHAUSTED", attemptCount: 1 }],
    });
    const target = { webhook: { url: `${scene.receiver.url}/mended` } };
    await scene.call("JobService/UpdateJob", { job: { name: "dying", target }, updateMask: "target" });
    const request = { id: dead.id, requestId: "mend" };
    const calls = [1, 2, 3].map(() => scene.call("TriggerService/ReplayTrigger", request));
    for (const { trigger } of await Promise.all(calls))
      expect(trigger).toMatchObject({ id: dead.id, revision: 2 });
    expect(await inState(dead.id, "SUCCEEDED")).toMatchObject({
      attemptCount: 2,
      nominalTime: dead.nominalTime,
    });
    const arrived = scene.receiver.requests.filter(({ id }) => id === dead.id);
    expect(arrived).toMatchObject([
      { path: "/dying", body: { data: { job: { revision: 1 } } }, headers: { "easycron-attempt": "1" } },
      { path: "/mended", body: { data: { job: { revision: 2 } } }, headers: { "easycron-attempt": "2" } },
    ]);
    const attempts = await scene.client.triggers.listAttempts(dead.id).toArray();
    expect(attempts.map(({ number, outcome }) => [number, outcome])).toEqual([
      [1, "REJECTED"],
      [2, "SUCCEEDED"],
    ]);
    expect((await scene.call("TriggerService/ListTriggers", list)).triggers).toEqual([]);
  });

  test("is not replayed after it has succeeded, unless force is set, and not after its job is deleted", async () => {
    const { id } = await die("forced");
    scene.receiver.answer("/forced", () => ({ status: 204 }));
    const replayed = await scene.client.triggers.replay(id);
    expect(replayed.id).toBe(id);
    await inState(id, "SUCCEEDED");
    await expect(scene.client.triggers.replay(id)).rejects.toMatchObject({
      reason: "TRIGGER_NOT_REPLAYABLE",
      message: expect.stringContaining("it has SUCCEEDED. Set force"),
    });
    await scene.client.triggers.replay(id, { force: true });
    await scene.receiver.waitFor((requests) => requests.filter((request) => request.id === id).length === 3);
    await inState(id, "SUCCEEDED");
    await scene.client.jobs.delete("forced");
    await expect(scene.client.triggers.replay(id, { force: true })).rejects.toMatchObject({
      reason: "TRIGGER_NOT_REPLAYABLE",
      message: expect.stringContaining("is deleted"),
    });
  });
});

test("all dead letters of a job are replayed by one operation, each once", async () => {
  scene.receiver.answer("/dead-batch", () => ({ status: 500 }));
  await scene.createJob("dead-batch", ONE_ATTEMPT);
  const ids: string[] = [];
  for (let count = 0; count < 6; count++) ids.push((await scene.client.jobs.run("dead-batch")).id);
  for (const id of ids) await inState(id, "EXHAUSTED");
  scene.receiver.answer("/dead-batch", () => ({ status: 204 }));
  const request = { job: "dead-batch", state: "TRIGGER_STATE_EXHAUSTED", maxPerSecond: 3, requestId: "all" };
  const { operation } = await scene.call("TriggerService/ReplayTriggers", request);
  expect(operation).toMatchObject({
    state: "OPERATION_STATE_RUNNING",
    metadata: { kind: "OPERATION_KIND_REPLAY", triggerCount: 6, maxPerSecond: 3 },
  });
  const same = await scene.call("TriggerService/ReplayTriggers", request);
  expect(same.operation.id).toBe(operation.id);
  const done = await scene.client.operations.wait(operation.id, { timeoutMs: 15_000 });
  expect(done.metadata).toMatchObject({
    kind: "REPLAY",
    triggerState: "EXHAUSTED",
    doneCount: 6,
    leftOutCount: 0,
  });
  for (const id of ids) await inState(id, "SUCCEEDED");
  const again = scene.receiver.requests.filter(
    ({ job, headers }) => job === "dead-batch" && headers["easycron-attempt"] === "2",
  );
  expect(again.map(({ id }) => id).sort()).toEqual(ids.sort());
  const nothing = await scene.client.triggers.replayAll({ job: "dead-batch" });
  expect((await nothing.wait()).metadata?.doneCount).toBe(0);
});

test("a trigger's lateness is theirs from the first attempt on", async () => {
  scene.receiver.answer("/slow-start", (number) => ({ status: number === 1 ? 503 : 204 }));
  await scene.createJob("slow-start", { schedules: [], retryPolicy: { minBackoff: "1s", maxBackoff: "1s" } });
  const { id } = await scene.client.jobs.run("slow-start");
  const { lateness } = await inState(id, "SUCCEEDED");
  const { total = 0, ours = 0, theirs = 0 } = lateness ?? {};
  // The pause of 1 s is made up to 20 % shorter at random.
  expect(theirs).toBeGreaterThanOrEqual(800);
  expect(ours + theirs).toBe(total);
  const { trigger } = await scene.call("TriggerService/GetTrigger", { id });
  expect(trigger.lateness).toMatchObject({ total: expect.stringMatching(/^\d(\.\d+)?s$/) });
});
