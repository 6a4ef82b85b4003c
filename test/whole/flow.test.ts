import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webhook } from "../../sdk/index.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
/** Another origin, whose failures concern no other test. */
let failing: Receiver;
beforeAll(async () => {
  scene = await openScene();
  failing = await startReceiver({ secrets: [scene.mesh.signingSecret] });
});
afterAll(async () => {
  await scene?.stop();
  await failing?.stop();
});

const get = (id: string) => scene.client.triggers.get(id);
const ended = (id: string) =>
  scene.until(
    () => get(id),
    ({ endTime }) => endTime !== undefined,
  );
const waitingFor = (id: string, what: string) =>
  scene.until(
    () => get(id),
    (trigger) => trigger.waitingFor === what,
  );

/** Answers after a while, and counts how many requests are answered at once. */
function slow(receiver: Receiver, paths: readonly string[], ms: number) {
  const seen = { now: 0, most: 0 };
  for (const path of paths) {
    receiver.answer(path, async () => {
      seen.now += 1;
      seen.most = Math.max(seen.most, seen.now);
      await new Promise((resolve) => setTimeout(resolve, ms));
      seen.now -= 1;
      return { status: 200 };
    });
  }
  return seen;
}

// These tests run at once: they wait for most of their time, each for jobs of its own.
describe.concurrent("jobs with a flow key", () => {
  test("have together at most maxInFlight attempts in flight, and use them", async () => {
    const { jobs } = scene.client;
    const seen = slow(scene.receiver, ["/crm-one", "/crm-two"], 100);
    const flow = { key: "crm", maxInFlight: 3 };
    for (const name of ["crm-one", "crm-two"])
      await jobs.create({ name, target: webhook(`${scene.receiver.url}/${name}`), flow });
    expect((await jobs.get("crm-one")).flow).toEqual({ ...flow, ratePerSecond: 0 });
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, index) => jobs.run(index % 2 === 0 ? "crm-one" : "crm-two")),
    );
    for (const { id } of runs) expect(await ended(id)).toMatchObject({ state: "SUCCEEDED", attemptCount: 1 });
    expect(seen.most).toBe(3);
  });

  test("start at most ratePerSecond attempts, and the wait counts as the target's part of their lateness", async () => {
    const { jobs } = scene.client;
    const flow = { key: "paced", ratePerSecond: 1 };
    await jobs.create({ name: "paced", target: webhook(`${scene.receiver.url}/paced`), flow });
    const runs = await Promise.all(Array.from({ length: 8 }, () => jobs.run("paced")));
    const triggers = [];
    for (const { id } of runs) triggers.push(await ended(id));
    const starts = triggers
      .map(({ startTime }) => startTime?.getTime() ?? 0)
      .toSorted((one, other) => one - other);
    // Seven intervals of a second. A claim may take longer for one than for the next.
    expect((starts.at(-1) ?? 0) - (starts[0] ?? 0)).toBeGreaterThan(6_500);
    for (const [index, start] of starts.entries())
      expect((starts[index + 6] ?? Number.POSITIVE_INFINITY) - start).toBeGreaterThan(5_200);
    const last = triggers.find(({ startTime }) => startTime?.getTime() === starts.at(-1));
    expect(last?.lateness?.theirs).toBeGreaterThan(5_000);
    expect(last?.lateness?.ours).toBeLessThan(3_000);
  });

  test("wait in PENDING without an attempt, and do not hold up other keys and jobs", async () => {
    const { jobs } = scene.client;
    const target = webhook(`${scene.receiver.url}/hourly`);
    await jobs.create({ name: "hourly", target, flow: { key: "hourly", ratePerSecond: 0.0003 } });
    const [first, second] = [await jobs.run("hourly"), await jobs.run("hourly")];
    expect(await ended(first.id)).toMatchObject({ state: "SUCCEEDED" });
    expect(await waitingFor(second.id, "FLOW")).toMatchObject({ state: "PENDING", attemptCount: 0 });
    expect(await scene.call("TriggerService/GetTrigger", { id: second.id })).toMatchObject({
      trigger: { waitingFor: "WAITING_FOR_FLOW" },
    });
    await jobs.create({ name: "quick", target, flow: { key: "quick", ratePerSecond: 100 } });
    expect((await ended((await jobs.run("quick")).id)).lateness?.total).toBeLessThan(20_000);
    await jobs.delete("hourly");
    expect(await ended(second.id)).toMatchObject({ state: "CANCELLED", attemptCount: 0 });
  });

  test.each([
    ["no limit", "job.flow", { key: "crm" }],
    ["no key", "job.flow.key", { maxInFlight: 1 }],
    ["a rate that is too low", "job.flow.ratePerSecond", { key: "crm", ratePerSecond: 0.00001 }],
    ["a rate that is not a number", "job.flow.ratePerSecond", { key: "crm", ratePerSecond: "NaN" }],
    ["too many places", "job.flow.maxInFlight", { key: "crm", maxInFlight: 10_001 }],
  ])("are refused with %s", async (_, field, flow) => {
    await expect(scene.createJob("refused", { flow })).rejects.toMatchObject({
      fields: expect.arrayContaining([field]),
    });
  });
});

describe.concurrent("a destination", () => {
  test("that fails is tried by single attempts, and others wait until one is answered", async () => {
    const { jobs } = scene.client;
    let status = 500;
    failing.answer("/broken", () => ({ status }));
    const target = webhook(`${failing.url}/broken`);
    await jobs.create({ name: "broken", target, retryPolicy: { maxAttempts: 1 } });
    const lost = await Promise.all(Array.from({ length: 12 }, () => jobs.run("broken")));
    for (const { id } of lost) expect(await ended(id)).toMatchObject({ state: "EXHAUSTED" });
    await jobs.create({ name: "patient", target });
    const runs = [];
    for (let each = 0; each < 8; each++) runs.push(await jobs.run("patient"));
    const waiting = await Promise.any(runs.map(({ id }) => waitingFor(id, "BREAKER")));
    expect(waiting).toMatchObject({ state: "PENDING", attemptCount: 0 });
    const before = failing.requests.length;
    status = 200;
    for (const { id } of runs) expect(await ended(id)).toMatchObject({ state: "SUCCEEDED" });
    expect(failing.requests.length - before).toBeGreaterThanOrEqual(7);
    expect((await get(waiting.id)).lateness?.theirs).toBeGreaterThan(200);
  });

  test("that answers 503 with Retry-After gets nothing of the project until then", async () => {
    const { jobs } = scene.client;
    const busy = await startReceiver();
    busy.answer("/busy", () => ({ status: 503, headers: { "retry-after": "8" } }));
    await jobs.create({ name: "busy", target: webhook(`${busy.url}/busy`), retryPolicy: { maxAttempts: 1 } });
    await jobs.create({ name: "polite", target: webhook(`${busy.url}/polite`) });
    const { id } = await jobs.run("busy");
    const first = await ended(id);
    const polite = await jobs.run("polite");
    expect(await waitingFor(polite.id, "RETRY_AFTER")).toMatchObject({ state: "PENDING", attemptCount: 0 });
    const { startTime } = await ended(polite.id);
    expect((startTime?.getTime() ?? 0) - (first.endTime?.getTime() ?? 0)).toBeGreaterThan(7_900);
    await busy.stop();
  });
});
