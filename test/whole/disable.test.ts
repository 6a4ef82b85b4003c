import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

const ONE_ATTEMPT = { retryPolicy: { maxAttempts: 1 } };

/** Waits until a job has a state, and returns it as the API shows it. */
const inState = async (name: string, state: string) => {
  const read = async () => (await scene.call("JobService/GetJob", { name })).job;
  await scene.until(read, (job) => job.state === state);
  return read();
};
const arrivedOf = (name: string) => scene.receiver.requests.filter(({ job }) => job === name);
/** Waits until the ledger has fire times of a job with a verdict for one reason, and returns their verdicts. */
const skippedOf = (job: string, reason: string) =>
  scene.until(
    async () => {
      const found = await scene.call("LedgerService/ListFireTimes", { job, pageSize: 50 });
      return found.fireTimes.filter(
        (each: { reason?: string; verdict: string }) =>
          each.verdict === "VERDICT_SKIPPED" && each.reason === `VERDICT_REASON_${reason}`,
      );
    },
    (fireTimes) => fireTimes.length > 0,
  );

// The tests run at once: they wait for most of their time, each for a job of its own.
describe.concurrent("an endpoint that wants no more pauses its job, which says why, until it is resumed", () => {
  test("with status 410", async () => {
    scene.receiver.answer("/gone", (number) => ({ status: number === 1 ? 410 : 204 }));
    await scene.createJob("gone");
    const job = await inState("gone", "JOB_STATE_PAUSED");
    const [first] = arrivedOf("gone");
    expect(job.disableReason).toMatchObject({
      cause: "DISABLE_CAUSE_GONE",
      trigger: first?.id,
      statusCode: 410,
      host: new URL(scene.receiver.url).host,
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(job.pauseNote).toContain(`answered 410 Gone to ${first?.id}`);
    const { trigger } = await scene.call("TriggerService/GetTrigger", { id: first?.id });
    expect(trigger).toMatchObject({ state: "TRIGGER_STATE_EXHAUSTED", attemptCount: 1 });
    const [skipped] = await skippedOf("gone", "PAUSED");
    const explained = await scene.call("LedgerService/ExplainFireTime", {
      job: "gone",
      nominalTime: skipped.nominalTime,
    });
    expect(explained.explanation).toContain("answered 410 Gone");
    const resumed = await scene.call("JobService/ResumeJob", { name: "gone" });
    expect(resumed.job).toMatchObject({ state: "JOB_STATE_ACTIVE" });
    expect(resumed.job).not.toHaveProperty("disableReason");
    const count = arrivedOf("gone").length;
    await scene.receiver.waitFor(() => arrivedOf("gone").length > count);
  });

  test("with the header webhook-delivery: disable, and the trigger has succeeded if its status is a success", async () => {
    scene.receiver.answer("/full", () => ({ status: 200, headers: { "webhook-delivery": "disable" } }));
    await scene.createJob("full");
    const job = await inState("full", "JOB_STATE_PAUSED");
    expect(job.disableReason).toMatchObject({ cause: "DISABLE_CAUSE_RECEIVER", statusCode: 200 });
    const { trigger } = await scene.call("TriggerService/GetTrigger", { id: job.disableReason.trigger });
    expect(trigger).toMatchObject({ state: "TRIGGER_STATE_SUCCEEDED" });
  });

  test("with that header while the trigger waits for its acknowledgement, which still counts", async () => {
    scene.receiver.answer("/full-later", () => ({ status: 202, headers: { "webhook-delivery": "disable" } }));
    await scene.createJob("full-later", { schedules: [], acknowledgement: { deadline: "600s" } });
    const { id } = await scene.client.jobs.run("full-later");
    const job = await inState("full-later", "JOB_STATE_PAUSED");
    expect(job.disableReason).toMatchObject({
      cause: "DISABLE_CAUSE_RECEIVER",
      trigger: id,
      statusCode: 202,
    });
    expect((await scene.client.triggers.get(id)).state).toBe("ACCEPTED");
    const token = String(arrivedOf("full-later")[0]?.headers["easycron-ack-token"]);
    await scene.client.triggers.acknowledge(id, token);
    expect((await scene.client.triggers.get(id)).state).toBe("SUCCEEDED");
  });

  test("but not with webhook-delivery: abort-message, which ends only its trigger", async () => {
    scene.receiver.answer("/abort", () => ({
      status: 500,
      headers: { "webhook-delivery": "abort-message" },
    }));
    await scene.createJob("abort");
    await scene.receiver.waitFor(() => arrivedOf("abort").length > 3);
    expect((await scene.client.jobs.get("abort")).state).toBe("ACTIVE");
  });
});

describe.concurrent("a job whose triggers keep failing", () => {
  test("is disabled after as many in a row as it says, and enabled by ResumeJob", async () => {
    const autoDisable = { afterExhausted: 3, afterDuration: "1s" };
    let isMended = false;
    scene.receiver.answer("/failing", (number) => ({ status: isMended || number === 3 ? 204 : 500 }));
    await scene.createJob("failing", { ...ONE_ATTEMPT, autoDisable });
    const job = await inState("failing", "JOB_STATE_DISABLED");
    // Two failures, a success, and three failures in a row.
    expect(arrivedOf("failing").length).toBeGreaterThanOrEqual(6);
    expect(job).toMatchObject({ autoDisable: { afterExhausted: 3, afterDuration: "1s" }, revision: 1 });
    expect(job.disableReason).toMatchObject({ cause: "DISABLE_CAUSE_EXHAUSTED", statusCode: 500 });
    expect(job.disableReason.exhaustedCount).toBeGreaterThanOrEqual(3);
    expect(job.pauseNote).toContain("EasyCron has disabled the job");
    expect(job).not.toHaveProperty("nextFireTime");
    const listed = await scene.client.jobs.list({ filter: "state = DISABLED" }).toArray();
    expect(listed.map(({ name, state }) => [name, state])).toEqual([["failing", "DISABLED"]]);
    await skippedOf("failing", "JOB_DISABLED");
    isMended = true;
    const { id } = await scene.client.jobs.run("failing");
    await scene.arrived("failing", (request) => request.id === id);
    expect((await scene.client.jobs.get("failing")).state).toBe("DISABLED");
    expect((await scene.client.jobs.resume("failing")).state).toBe("ACTIVE");
    const count = arrivedOf("failing").length;
    await scene.receiver.waitFor(() => arrivedOf("failing").length > count + 1);
    expect((await scene.client.jobs.get("failing")).state).toBe("ACTIVE");
  });

  test("has the documented limits, and can be excepted", async () => {
    const plain = await scene.client.jobs.get("ticker");
    expect(plain.autoDisable).toEqual({ afterExhausted: 20, afterDuration: 86_400_000, off: false });
    const off = await scene.client.jobs.update({ name: "ticker", autoDisable: { off: true } });
    expect(off.autoDisable).toMatchObject({ off: true, afterExhausted: 20 });
    for (const afterExhausted of [1, 1_001, -1]) {
      const wrong = scene.createJob("wrong", { autoDisable: { afterExhausted } });
      await expect(wrong).rejects.toMatchObject({ fields: ["job.autoDisable.afterExhausted"] });
    }
  });
});
