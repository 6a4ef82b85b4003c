import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webhook } from "../../sdk/index.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

/** Runs a job, and returns its trigger when it has ended, with its attempts. */
async function runToEnd(name: string) {
  const { triggers, jobs } = scene.client;
  const { id } = await jobs.run(name);
  const trigger = await scene.until(
    () => triggers.get(id),
    ({ endTime }) => endTime !== undefined,
  );
  return { trigger, attempts: await triggers.listAttempts(id).toArray() };
}

const urlOf = (name: string) => `${scene.receiver.url}/${name}`;

describe("a job's retry policy, set with the SDK,", () => {
  test("is read back with its defaults written out", async () => {
    const { jobs } = scene.client;
    const plain = await jobs.create({ name: "plain", target: webhook(urlOf("plain")) });
    expect(plain.retryPolicy).toMatchObject({
      maxAttempts: 8,
      minBackoff: 5_000,
      maxBackoff: 3_600_000,
      maxAge: 86_400_000,
      multiplier: 2,
      nonRetryableStatusCodes: [405, 413, 414, 415, 422],
    });
    const policy = { delays: ["1s", 2_000] as const, giveUpAtNextFireTime: true };
    const listed = await jobs.create({
      name: "listed",
      target: webhook(urlOf("listed"), { successStatusCodes: ["200-299", "409"] }),
      retryPolicy: { ...policy, delays: [...policy.delays], nonRetryableStatusCodes: [410] },
    });
    const { retryPolicy } = await jobs.update({ ...plain, retryPolicy: { multiplier: 1.5 } });
    expect(retryPolicy).toMatchObject({ multiplier: 1.5, maxAttempts: 8 });
    expect(await jobs.get("listed")).toMatchObject({
      uid: listed.uid,
      retryPolicy: {
        maxAttempts: 3,
        delays: [1_000, 2_000],
        nonRetryableStatusCodes: [410],
        giveUpAtNextFireTime: true,
      },
      target: { webhook: { successStatusCodes: ["200-299", "409"] } },
    });
  });

  test("waits for the listed delays, and no shorter, and takes the named statuses as successes", async () => {
    const answers = [500, 404, 200, 409];
    scene.receiver.answer("/paced", (number) => ({ status: answers[number - 1] ?? 500 }));
    await scene.client.jobs.create({
      name: "paced",
      target: webhook(urlOf("paced"), { successStatusCodes: ["409"] }),
      retryPolicy: { delays: ["1s"], maxAttempts: 9 },
    });
    const { trigger, attempts } = await runToEnd("paced");
    expect(trigger).toMatchObject({ state: "SUCCEEDED", attemptCount: 4 });
    expect(attempts.map(({ statusCode }) => statusCode)).toEqual(answers);
    const starts = attempts.map(({ startTime }) => startTime?.getTime() ?? 0);
    for (const [index, start] of starts.entries())
      if (index > 0) expect(start - (starts[index - 1] ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  test("ends a trigger at once after a status that is not retried", async () => {
    scene.receiver.answer("/refusing", () => ({ status: 422 }));
    await scene.client.jobs.create({ name: "refusing", target: webhook(urlOf("refusing")) });
    expect((await runToEnd("refusing")).trigger).toMatchObject({ state: "EXHAUSTED", attemptCount: 1 });
  });

  test.each([
    ["410", { status: 410 }],
    ["webhook-delivery: abort-message", { status: 500, headers: { "webhook-delivery": "abort-message" } }],
  ])("is not used after %s, which ends the trigger at once", async (_, answer) => {
    const name = `final-${answer.status}`;
    scene.receiver.answer(`/${name}`, () => answer);
    const retryPolicy = { delays: ["1s" as const], maxAttempts: 9 };
    await scene.client.jobs.create({ name, target: webhook(urlOf(name)), retryPolicy });
    expect((await runToEnd(name)).trigger).toMatchObject({ state: "EXHAUSTED", attemptCount: 1 });
  });

  test("gives up at the next fire time if it says so", async () => {
    scene.receiver.answer("/superseded", () => ({ status: 500 }));
    await scene.createJob("superseded", { retryPolicy: { delays: ["1s"], giveUpAtNextFireTime: true } });
    const first = await scene.arrived("superseded");
    const trigger = await scene.until(
      () => scene.client.triggers.get(first.id),
      ({ endTime }) => endTime !== undefined,
    );
    expect(trigger).toMatchObject({ state: "EXHAUSTED", attemptCount: 1 });
    await scene.client.jobs.delete("superseded");
  });

  test("shows where a redirect leads, and does not follow it", async () => {
    scene.receiver.answer("/moved", () => ({ status: 308, headers: { location: urlOf("elsewhere") } }));
    await scene.client.jobs.create({
      name: "moved",
      target: webhook(urlOf("moved")),
      retryPolicy: { maxAttempts: 1 },
    });
    const { trigger, attempts } = await runToEnd("moved");
    expect(trigger.state).toBe("EXHAUSTED");
    expect(attempts[0]?.error).toContain(`with Location ${urlOf("elsewhere")}; redirects are not followed`);
    expect(scene.receiver.requests.filter(({ path }) => path === "/elsewhere")).toEqual([]);
  });

  test.each([
    ["a delay that is too short", "job.retryPolicy.delays[0]", { retryPolicy: { delays: ["0.5s"] } }],
    ["a multiplier below 1", "job.retryPolicy.multiplier", { retryPolicy: { multiplier: 0.5 } }],
    [
      "a status that does not exist",
      "job.retryPolicy.nonRetryableStatusCodes[0]",
      { retryPolicy: { nonRetryableStatusCodes: [600] } },
    ],
    [
      "a range that ends before it begins",
      "job.target.webhook.successStatusCodes[0]",
      { target: { webhook: { url: "https://example.com/", successStatusCodes: ["299-200"] } } },
    ],
    [
      "a range that is none",
      "job.target.webhook.successStatusCodes[0]",
      { target: { webhook: { url: "https://example.com/", successStatusCodes: ["2xx"] } } },
    ],
  ])("is refused by the field: %s", async (_, field, fields) => {
    const refused = scene.createJob("wrong", fields);
    await expect(refused).rejects.toMatchObject({ reason: "FIELD_INVALID", fields: [field] });
  });
});
