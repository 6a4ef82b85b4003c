import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron, triggerId } from "../../sdk/index.ts";
import { toPayload } from "../../sdk/raw.ts";
import { verify } from "../../sdk/webhook.ts";
import { startReceiver } from "../support/receiver.ts";
import { joinMesh } from "../support/shared-mesh.ts";

let mesh: Awaited<ReturnType<typeof joinMesh>>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
});

async function createJob(name: string, path: string, change: object = {}) {
  const { job } = await client.raw.jobs.createJob({
    job: {
      name,
      target: {
        kind: { case: "webhook", value: { url: `${receiver.url}${path}`, headers: { "x-team": "billing" } } },
      },
      payload: toPayload({ company: 42 }),
      ...change,
    },
  });
  return job?.uid ?? "";
}

const everySecond = [{ kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 } } }];

/** Waits until the trigger has come to rest in a state, driven by what the receiver sees. */
async function settled(id: string) {
  for (;;) {
    const { trigger } = await client.raw.triggers.getTrigger({ id });
    if (trigger?.endTime !== undefined) return trigger;
    await new Promise((done) => setImmediate(done));
  }
}

describe("a delivered webhook", () => {
  test("verifies with an independent implementation and with our own, and not when a byte has changed", async () => {
    await createJob("signed", "/signed", { schedules: everySecond });
    const request = await receiver.waitFor((requests) => requests.find(({ path }) => path === "/signed"));
    const headers = request.headers as Record<string, string>;
    const body = request.rawBody.toString();
    expect(new Webhook(mesh.signingSecret).verify(body, headers)).toEqual(request.body);
    expect(verify(request.rawBody, headers, mesh.signingSecret).id).toBe(request.id);
    for (const at of [0, Math.floor(body.length / 2), body.length - 1]) {
      const changed = Buffer.from(request.rawBody);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => verify(changed, headers, mesh.signingSecret)).toThrow();
      expect(() => new Webhook(mesh.signingSecret).verify(changed.toString(), headers)).toThrow();
    }
    expect(() => verify(body, { ...headers, "webhook-id": `${request.id}x` }, mesh.signingSecret)).toThrow();
    await client.raw.jobs.deleteJob({ name: "signed" });
  });

  test("has the documented body and headers, under an id that anyone can compute", async () => {
    const uid = await createJob("document", "/document", { schedules: everySecond });
    const two = await receiver.waitFor((requests) => {
      const own = requests.filter(({ path }) => path === "/document");
      return own.length >= 2 ? own : undefined;
    });
    const [first, second] = two.sort((a, b) => a.nominalMs - b.nominalMs);
    const nominal = (request: typeof first) => new Date(request?.nominalMs ?? 0);
    expect(first?.id).toBe(triggerId({ jobUid: uid, nominalTime: nominal(first) }));
    expect(first?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": first?.id,
      "idempotency-key": first?.id,
      "easycron-attempt": "1",
      "easycron-nominal-time": nominal(first).toISOString(),
      "user-agent": expect.stringMatching(/^EasyCron\/\d/),
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/),
      "x-team": "billing",
    });
    expect(first?.body).toEqual({
      type: "trigger.fired",
      timestamp: nominal(first).toISOString(),
      data: {
        trigger: first?.id,
        kind: "SCHEDULED",
        project: mesh.project,
        job: { name: "document", uid, revision: 1 },
        nominalTime: nominal(first).toISOString(),
        effectiveTime: nominal(first).toISOString(),
        seq: 1,
        previousNominalTime: null,
        previousVerdict: { skipped: 0, missed: 0 },
        nextNominalTime: nominal(second).toISOString(),
        attempt: 1,
        payload: { company: 42 },
      },
    });
    expect(second?.body.data).toMatchObject({ seq: 2, previousNominalTime: nominal(first).toISOString() });
    await client.raw.jobs.deleteJob({ name: "document" });
  });
});

describe("RunJob", () => {
  test("makes one trigger for one request id, with its own payload, of a paused job too", async () => {
    const uid = await createJob("by-hand", "/by-hand");
    await client.raw.jobs.pauseJob({ name: "by-hand" });
    const run = {
      name: "by-hand",
      requestId: "r-1",
      payload: toPayload("now"),
    };
    const [once, twice] = [await client.raw.jobs.runJob(run), await client.raw.jobs.runJob(run)];
    expect(twice.trigger?.id).toBe(once.trigger?.id);
    const request = await receiver.waitFor((requests) => requests.find(({ path }) => path === "/by-hand"));
    expect(request.id).toBe(
      triggerId({ jobUid: uid, nominalTime: new Date(request.nominalMs), requestId: "r-1" }),
    );
    expect(request.body.data).toMatchObject({
      kind: "MANUAL",
      seq: 0,
      payload: "now",
      previousNominalTime: null,
    });
    await settled(request.id);
    expect(receiver.requests.filter(({ path }) => path === "/by-hand")).toHaveLength(1);
  });
});

describe("a target that fails", () => {
  test("is retried under the same id with a new signature, until it answers 2xx", async () => {
    receiver.answer("/flaky", (number) => ({ status: number === 1 ? 503 : 204, body: "busy" }));
    await createJob("flaky", "/flaky", { retryPolicy: { minBackoff: { seconds: 1n, nanos: 0 } } });
    const { trigger } = await client.raw.jobs.runJob({ name: "flaky" });
    const done = await settled(trigger?.id ?? "");
    expect(done).toMatchObject({ state: 5, attemptCount: 2 });
    const requests = receiver.requests.filter(({ path }) => path === "/flaky");
    expect(requests.map(({ id }) => id)).toEqual([done.id, done.id]);
    expect(requests.map(({ headers }) => headers["easycron-attempt"])).toEqual(["1", "2"]);
    for (const { rawBody, headers } of requests) verify(rawBody, headers, mesh.signingSecret);
    const { attempts } = await client.raw.triggers.listAttempts({ trigger: done.id });
    expect(attempts).toMatchObject([
      {
        number: 1,
        outcome: 2,
        statusCode: 503,
        responseBody: "busy",
        responseHeaders: { date: expect.any(String) },
      },
      { number: 2, outcome: 1, statusCode: 204, responseHeaders: {} },
    ]);
    for (const { firstByteDuration } of attempts) expect(firstByteDuration).toBeDefined();
    expect(attempts[0]?.id).toMatch(/^att_/);
  });

  test("makes the trigger a dead letter when its attempts are used up", async () => {
    receiver.answer("/dead", () => ({ status: 500 }));
    const retryPolicy = { maxAttempts: 2, minBackoff: { seconds: 1n, nanos: 0 } };
    await createJob("dead", "/dead", { retryPolicy });
    const { trigger } = await client.raw.jobs.runJob({ name: "dead" });
    expect(await settled(trigger?.id ?? "")).toMatchObject({ state: 6, attemptCount: 2 });
    const listed = await client.raw.triggers.listTriggers({ job: "dead", state: 6 });
    expect(listed.triggers.map(({ id }) => id)).toEqual([trigger?.id]);
  });

  test("that answers with a redirect is not followed", async () => {
    receiver.answer("/moved", () => ({ status: 302, headers: { location: `${receiver.url}/elsewhere` } }));
    await createJob("moved", "/moved", { retryPolicy: { maxAttempts: 1 } });
    const { trigger } = await client.raw.jobs.runJob({ name: "moved" });
    expect(await settled(trigger?.id ?? "")).toMatchObject({ state: 6 });
    expect(receiver.requests.filter(({ path }) => path === "/elsewhere")).toEqual([]);
  });

  test("that is slow or dead does not delay another target", async () => {
    receiver.answer("/slow", () => new Promise(() => {}));
    await createJob("slow", "/slow", { attemptTimeout: { seconds: 300n, nanos: 0 } });
    // A project's calls wait for each other, and one that waits too long is refused.
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 7 }, () => client.raw.jobs.runJob({ name: "slow" })));
    const other = await startReceiver();
    try {
      const { job } = await client.raw.jobs.createJob({
        job: { name: "quick", target: { kind: { case: "webhook", value: { url: other.url } } } },
      });
      const { trigger } = await client.raw.jobs.runJob({ name: job?.name ?? "" });
      expect(await settled(trigger?.id ?? "")).toMatchObject({ state: 5 });
    } finally {
      await client.raw.jobs.deleteJob({ name: "slow" });
      await other.stop();
    }
  });
});
