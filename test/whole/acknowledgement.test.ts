import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReceivedRequest } from "../support/receiver.ts";
import { type Json, openScene, type Scene, SECONDLY } from "./scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

const ACKNOWLEDGED = {
  schedules: [],
  acknowledgement: { deadline: "600s" },
  retryPolicy: { maxAttempts: 2, minBackoff: "1s", maxBackoff: "1s" },
};

// A look for deadlines, which there is each second, may be ending the wait at the moment of the acknowledgement. Then the
// answer shows the state before.
const RETRYING_SOON = expect.stringMatching(/^TRIGGER_STATE_(RETRYING|ACCEPTED)$/);
const EXHAUSTED_SOON = expect.stringMatching(/^TRIGGER_STATE_(EXHAUSTED|ACCEPTED)$/);

/** Waits until a trigger has a state, and returns it. */
async function inState(id: string, state: string): Promise<Json> {
  await scene.until(
    async () => (await scene.client.triggers.get(id)).state,
    (found) => found === state,
  );
  return (await scene.call("TriggerService/GetTrigger", { id })).trigger;
}

/** Makes a job, runs it, and returns the webhook of its first attempt, and the trigger when it is ACCEPTED. */
async function run(name: string, fields: object = {}) {
  await scene.createJob(name, { ...ACKNOWLEDGED, ...fields });
  const { id } = await scene.client.jobs.run(name);
  const request = await arrived(id, 1);
  return { id, request, trigger: await inState(id, "ACCEPTED") };
}

const arrived = (id: string, attempt: number): Promise<ReceivedRequest> =>
  scene.receiver.waitFor((requests) =>
    requests.find((each) => each.id === id && each.headers["easycron-attempt"] === `${attempt}`),
  );

const attemptsOf = (id: string) => scene.client.triggers.listAttempts(id).toArray();
const tokenOf = ({ headers }: ReceivedRequest) => String(headers["easycron-ack-token"]);
const urlOf = ({ headers }: ReceivedRequest) => String(headers["easycron-ack-url"]);

/** Calls AcknowledgeTrigger without an API key. */
async function acknowledge(id: string, token: string, fields: object = {}): Promise<Json> {
  const response = await fetch(`${scene.mesh.url}/easycron.v1.TriggerService/AcknowledgeTrigger`, {
    method: "POST",
    // Each error has the request id, which is the caller's if it names one.
    headers: { "content-type": "application/json", "x-request-id": "acknowledgement-test" },
    body: JSON.stringify({ id, token, ...fields }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

async function post(url: string, body?: string, headers: Record<string, string> = {}): Promise<Json> {
  const response = await fetch(url, { method: "POST", headers, ...(body === undefined ? {} : { body }) });
  return { status: response.status, ...((await response.json()) as object) };
}

describe("a trigger whose job wants an acknowledgement", () => {
  test("is ACCEPTED after a 2xx, with its deadline, and ends when it is acknowledged, without an API key", async () => {
    const { id, request, trigger } = await run("acked");
    const list = { job: "acked", state: "TRIGGER_STATE_ACCEPTED" };
    expect((await scene.call("TriggerService/ListTriggers", list)).triggers).toMatchObject([{ id }]);
    const waitMs = Date.parse(trigger.acknowledgeDeadlineTime) - request.arrivedMs;
    expect(waitMs).toBeGreaterThan(599_000);
    expect(waitMs).toBeLessThan(660_000);
    expect(await attemptsOf(id)).toMatchObject([{ outcome: "SUCCEEDED", statusCode: 204 }]);
    await expect(scene.client.triggers.replay(id)).rejects.toMatchObject({
      reason: "TRIGGER_NOT_REPLAYABLE",
    });
    const given = { outcome: "ACKNOWLEDGEMENT_SUCCEEDED", message: "42 rows" };
    const answer = { status: 200, isLate: false, explanation: "" };
    const ended = {
      id,
      state: "TRIGGER_STATE_SUCCEEDED",
      acknowledgementMessage: "42 rows",
      attemptCount: 1,
    };
    expect(await acknowledge(id, tokenOf(request), given)).toMatchObject({ ...answer, trigger: ended });
    // Repeated, it is answered in the same way; another one comes too late.
    expect(await acknowledge(id, tokenOf(request), given)).toMatchObject({ ...answer, trigger: ended });
    expect(await acknowledge(id, tokenOf(request), { outcome: "ACKNOWLEDGEMENT_FAILED" })).toMatchObject({
      status: 200,
      isLate: true,
      explanation: expect.stringContaining("already succeeded"),
      trigger: ended,
    });
    expect((await scene.call("TriggerService/ListTriggers", list)).triggers).toEqual([]);
  });

  test("ends by an empty POST to the URL that came with it; a GET changes nothing", async () => {
    const { id, request } = await run("posted");
    expect(urlOf(request)).toBe(`${scene.mesh.url}/acknowledge/${id}/${tokenOf(request)}`);
    expect((await fetch(urlOf(request))).status).toBe(405);
    expect(await post(urlOf(request))).toMatchObject({
      status: 200,
      trigger: { id, state: "TRIGGER_STATE_SUCCEEDED" },
      isLate: false,
    });
  });

  test("is tried again when a failure is acknowledged, and is EXHAUSTED after the last", async () => {
    const { id, request } = await run("failing");
    const first = JSON.stringify({ outcome: "ACKNOWLEDGEMENT_FAILED", message: "no bank" });
    // As curl -d sends it.
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    expect(await post(urlOf(request), first, headers)).toMatchObject({
      status: 200,
      isLate: false,
      trigger: { state: RETRYING_SOON, acknowledgementMessage: "no bank" },
    });
    const second = await arrived(id, 2);
    await inState(id, "ACCEPTED");
    expect(tokenOf(second)).not.toBe(tokenOf(request));
    expect(await post(urlOf(request), first)).toMatchObject({ isLate: false });
    expect(
      await post(urlOf(request), '{"outcome":"ACKNOWLEDGEMENT_EXTENDED","extendBy":"9s"}'),
    ).toMatchObject({
      isLate: true,
      explanation: expect.stringContaining("followed by attempt 2"),
      trigger: { state: "TRIGGER_STATE_ACCEPTED" },
    });
    expect(await post(urlOf(second), first)).toMatchObject({
      isLate: false,
      trigger: { state: EXHAUSTED_SOON },
    });
    await inState(id, "EXHAUSTED");
    expect(await post(urlOf(second))).toMatchObject({
      isLate: true,
      explanation: expect.stringContaining("EXHAUSTED"),
      trigger: { state: "TRIGGER_STATE_EXHAUSTED" },
    });
    const error = "The receiver acknowledged a failure: no bank.";
    expect(await attemptsOf(id)).toMatchObject([
      { number: 1, outcome: "REJECTED", statusCode: 204, error },
      { number: 2, outcome: "REJECTED", statusCode: 204, error },
    ]);
  });

  test("counts a deadline that has passed as a failed attempt, and takes a success of that attempt all the same", async () => {
    const { id, request } = await run("silent", {
      acknowledgement: { deadline: "1s" },
      retryPolicy: { minBackoff: "1s", maxBackoff: "1s", maxAttempts: 100 },
    });
    await arrived(id, 2);
    const [first] = await attemptsOf(id);
    const error = expect.stringContaining("No acknowledgement came until 20");
    expect(first).toMatchObject({ number: 1, outcome: "UNKNOWN", statusCode: 204, error });
    expect(await post(urlOf(request), '{"outcome":"ACKNOWLEDGEMENT_FAILED"}')).toMatchObject({
      isLate: true,
    });
    expect(await post(urlOf(request))).toMatchObject({
      isLate: false,
      trigger: { state: "TRIGGER_STATE_SUCCEEDED" },
    });
  });

  test("waits for longer when it is extended, and never longer than 7 days", async () => {
    const { id, request, trigger } = await run("extended", { acknowledgement: { deadline: "60s" } });
    const extend = (extendBy: string) =>
      acknowledge(id, tokenOf(request), { outcome: "ACKNOWLEDGEMENT_EXTENDED", extendBy, message: "half" });
    const extended = await extend("3600s");
    expect(extended).toMatchObject({ isLate: false, trigger: { acknowledgementMessage: "half" } });
    const laterMs =
      Date.parse(extended.trigger.acknowledgeDeadlineTime) - Date.parse(trigger.acknowledgeDeadlineTime);
    expect(laterMs).toBeGreaterThan(3_500_000);
    // To ask for less does not make the wait shorter.
    expect((await extend("1s")).trigger).toEqual(extended.trigger);
    const longest = await extend("604800s");
    const [attempt] = await attemptsOf(id);
    expect(Date.parse(longest.trigger.acknowledgeDeadlineTime)).toBe(
      Number(attempt?.startTime) + 604_800_000,
    );
    expect(await acknowledge(id, tokenOf(request), { outcome: "ACKNOWLEDGEMENT_EXTENDED" })).toMatchObject({
      status: 400,
    });
    expect(await acknowledge(id, tokenOf(request))).toMatchObject({ isLate: false });
  });

  test("keeps an acknowledgement that comes before the answer to its webhook", async () => {
    const early = async (name: string, body: string) => {
      scene.receiver.answer(`/${name}`, async (number) => {
        const request = scene.receiver.requests.findLast(({ job }) => job === name);
        if (number === 1 && request !== undefined)
          expect(await post(urlOf(request), body)).toMatchObject({ status: 200, isLate: false });
        return { status: 202 };
      });
      await scene.createJob(name, { ...ACKNOWLEDGED, acknowledgement: { deadline: "1s" } });
      return (await scene.client.jobs.run(name)).id;
    };
    const [done, failed, extended] = await Promise.all([
      early("early-done", ""),
      early("early-failed", '{"outcome":"ACKNOWLEDGEMENT_FAILED","message":"early"}'),
      early("early-extended", '{"outcome":"ACKNOWLEDGEMENT_EXTENDED","extendBy":"900s"}'),
    ]);
    await inState(done, "SUCCEEDED");
    // The acknowledgement ends the trigger before its attempt is recorded.
    await expect
      .poll(() => attemptsOf(done), { timeout: 10_000 })
      .toMatchObject([{ outcome: "SUCCEEDED", statusCode: 202 }]);
    await arrived(failed, 2);
    const error = "The receiver acknowledged a failure: early.";
    expect((await attemptsOf(failed))[0]).toMatchObject({ outcome: "REJECTED", statusCode: 202, error });
    const { acknowledgeDeadlineTime } = await inState(extended, "ACCEPTED");
    expect(Date.parse(acknowledgeDeadlineTime) - Date.now()).toBeGreaterThan(600_000);
  });

  test("is not ended by a token that is not its own: one answer, whatever is wrong", async () => {
    const { id, request } = await run("guarded");
    const other = await run("other");
    const token = tokenOf(request);
    const project = /^ack_(proj_\w+)\./.exec(token)?.[1] ?? "";
    const flipped = token.endsWith("A") ? `${token.slice(0, -1)}Q` : `${token.slice(0, -1)}A`;
    const wrong = [
      ["", id],
      ["ack_x", id],
      [flipped, id],
      [tokenOf(other.request), id],
      [token.replace(/\.1\./, ".2."), id],
      [token.replace(project, `${project.slice(0, -1)}z`), id],
      [token, `trg_${"0".repeat(26)}`],
    ] as const;
    const answers = await Promise.all(wrong.map(([given, of]) => acknowledge(of, given)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, code: "unauthenticated" });
    expect(JSON.stringify(answers[0])).toContain("ACKNOWLEDGEMENT_TOKEN_INVALID");
    await inState(id, "ACCEPTED");
  });

  test("takes little from a caller whom nobody knows", async () => {
    const { id, request } = await run("bounded");
    const large = JSON.stringify({ message: "x".repeat(20_000) });
    expect(await post(urlOf(request), large)).toMatchObject({ status: 400, code: "invalid_argument" });
    expect(await acknowledge(id, tokenOf(request), JSON.parse(large))).toMatchObject({ status: 400 });
    expect(await post(urlOf(request), "{")).toMatchObject({ status: 400 });
    expect(await post(urlOf(request), '{"message":7}')).toMatchObject({ status: 400 });
    await inState(id, "ACCEPTED");
  });

  test("holds up the next fire time of a job that waits, until it ends", async () => {
    const name = "waiting";
    await scene.createJob(name, {
      ...ACKNOWLEDGED,
      schedules: SECONDLY,
      overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE",
    });
    const request = await scene.arrived(name);
    await inState(request.id, "ACCEPTED");
    const { nominalMs } = request;
    await scene.until(
      () => scene.call("LedgerService/ListFireTimes", { job: name, endTime: new Date().toISOString() }),
      ({ fireTimes }) => fireTimes.some(({ reason }: Json) => reason?.includes("BUFFER_FULL")),
    );
    expect(scene.receiver.requests.filter(({ job }) => job === name)).toHaveLength(1);
    await post(urlOf(request));
    const next = await scene.arrived(name, (each) => each.id !== request.id);
    expect(next.nominalMs).toBe(nominalMs + 1_000);
    await scene.client.jobs.delete(name);
  });

  test("stays when its job is deleted, and is then not tried again; DiscardTriggers ends it", async () => {
    const [kept, failed, discarded] = [await run("kept"), await run("fails"), await run("discarded")];
    await scene.client.jobs.delete("kept");
    await scene.client.jobs.delete("fails");
    await inState(kept.id, "ACCEPTED");
    expect(await post(urlOf(kept.request))).toMatchObject({ trigger: { state: "TRIGGER_STATE_SUCCEEDED" } });
    expect(await post(urlOf(failed.request), '{"outcome":"ACKNOWLEDGEMENT_FAILED"}')).toMatchObject({
      isLate: false,
      trigger: { state: "TRIGGER_STATE_CANCELLED" },
    });
    expect(await scene.client.triggers.discard({ job: "discarded" })).toMatchObject({ discardedCount: 1 });
    expect(await post(urlOf(discarded.request))).toMatchObject({
      isLate: true,
      explanation: expect.stringContaining("cancelled"),
      trigger: { state: "TRIGGER_STATE_CANCELLED" },
    });
  });
});

test("a job may set neither the headers of an acknowledgement, nor an acknowledgement for a plugin, nor a deadline out of bounds", async () => {
  const headers = { "Easycron-Ack-Url": "https://evil.example/" };
  const target = { webhook: { url: scene.receiver.url, headers } };
  await expect(scene.createJob("sly", { ...ACKNOWLEDGED, target })).rejects.toMatchObject({
    reason: "HEADER_RESERVED",
  });
  for (const deadline of ["0.5s", "604801s"]) {
    await expect(scene.createJob("bad", { acknowledgement: { deadline } })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      fields: ["job.acknowledgement.deadline"],
    });
  }
  await scene.createJob("plain", { schedules: [] });
  const plain = await scene.client.jobs.run("plain");
  const request = await arrived(plain.id, 1);
  expect(request.headers).not.toHaveProperty("easycron-ack-token");
  await inState(plain.id, "SUCCEEDED");
});
