import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;
let secret: string;

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const plugins = createGrpcServer({ logger: silent });

beforeAll(async () => {
  const refuse = async () => {
    throw failure("METHOD_UNIMPLEMENTED", { method: "Deliver" });
  };
  plugins.add(PluginsService, {
    deliver: refuse,
    describePlugins: refuse,
    provision: refuse,
    remove: refuse,
    measureUsage: refuse,
  });
  const pluginsPort = await plugins.listen("127.0.0.1:0");
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId, secret } = await ground.addProject());
  dispatcher = await ground.start({ EASYCRON_PLUGINS_ADDRESSES: `127.0.0.1:${pluginsPort}` });
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
  await plugins.close(0);
});

const quick = { maxAttempts: 3, minBackoff: "0.02s", maxBackoff: "0.04s", maxAge: "60s" };

const stateOf = async (id: string) =>
  (await ground.sql("select * from dispatcher.triggers where id = $1", [id]))[0];
const attemptsOf = (id: string) => ground.attemptsOf(id);

describe("an attempt", () => {
  test("has the documented headers and body, and its signature verifies with an independent library", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/contract?a=1`, {
      payload: { text: 'é " \\ \u2028', list: [1, null] },
      target: {
        webhook: { url: `${receiver.url}/contract?a=1`, method: "PUT", headers: { "X-Own": "yes" } },
      },
    });
    const at = Date.now() + 50;
    const change = {
      seq: 41,
      previousNominalTimeMs: BigInt(at - 60_000),
      nextNominalTimeMs: BigInt(at + 60_000),
    };
    const event = eventOf(job, at, change);
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    const request = await receiver.waitFor((all) => all.find(({ id }) => id === event.triggerId));
    await recorded;

    const iso = (ms: number) => new Date(ms).toISOString();
    expect(request.path).toBe("/contract?a=1");
    expect(request.body).toEqual({
      type: "trigger.fired",
      timestamp: iso(at),
      data: {
        trigger: event.triggerId,
        kind: "SCHEDULED",
        project: projectId,
        job: { name: job.name, uid: job.uid, revision: 1 },
        nominalTime: iso(at),
        effectiveTime: iso(at),
        seq: 41,
        previousNominalTime: iso(at - 60_000),
        nextNominalTime: iso(at + 60_000),
        previousVerdict: { skipped: 0, missed: 0 },
        attempt: 1,
        payload: { text: 'é " \\ \u2028', list: [1, null] },
      },
    });
    expect(request.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": event.triggerId,
      "idempotency-key": event.triggerId,
      "easycron-attempt": "1",
      "easycron-nominal-time": iso(at),
      "user-agent": expect.stringMatching(/^EasyCron\/\d+\.\d+\.\d+/),
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/),
      "x-own": "yes",
    });
    const headers = request.headers as Record<string, string>;
    expect(new Webhook(secret).verify(request.rawBody, headers)).toEqual(request.body);
    const changed = Buffer.from(request.rawBody);
    changed[10] = (changed[10] ?? 0) ^ 1;
    expect(() => new Webhook(secret).verify(changed, headers)).toThrow();

    expect(await stateOf(event.triggerId)).toMatchObject({
      state: "SUCCEEDED",
      attempt_count: 1,
      owner: null,
    });
    expect(await attemptsOf(event.triggerId)).toMatchObject([
      { number: 1, outcome: "SUCCEEDED", status_code: 204 },
    ]);
  });

  test("of a manual run has the run's payload, and null for the previous and next fire time", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/manual`, { payload: "the job's" });
    const event = eventOf(job, Date.now(), {
      kind: TriggerKind.MANUAL,
      seq: 0,
      payloadJson: '{"the":"run\'s"}',
    });
    await dispatcher.accept([event]);
    const request = await receiver.waitFor((all) => all.find(({ id }) => id === event.triggerId));
    expect(request.body.data).toMatchObject({
      kind: "MANUAL",
      seq: 0,
      previousNominalTime: null,
      nextNominalTime: null,
      payload: { the: "run's" },
    });
  });

  test("delivers a payload with U+0000 as it is, and the others that share its batch too", async () => {
    const payload = { a: "\u0000", "\u0000": ["x\u0000y"] };
    const poison = await ground.addJob(projectId, `${receiver.url}/nul`, { payload });
    const unreadable = await ground.addJob(projectId, `${receiver.url}/unreadable`);
    await ground.sql("update scheduler.revisions set spec = 'not json' where job_uid = $1", [unreadable.uid]);
    const { projectId: other } = await ground.addProject();
    const healthy = await ground.addJob(other, `${receiver.url}/beside`);
    const at = Date.now() + 50;
    const events = [unreadable, healthy, poison, healthy].map((job, seq) => eventOf(job, at + seq, { seq }));
    const delivered = events.filter(({ jobUid }) => jobUid !== unreadable.uid);
    const recorded = untilRecorded(dispatcher.events, delivered);
    await dispatcher.accept(events);
    await recorded;
    const nul = await receiver.waitFor((all) => all.find(({ path }) => path === "/nul"));
    expect(nul.rawBody.toString()).toContain(String.raw`"payload":{"a":"\u0000","\u0000":["x\u0000y"]}}}`);
    expect(nul.body.data.payload).toEqual(payload);
    expect(receiver.requests.filter(({ path }) => path === "/beside")).toHaveLength(2);
  });

  test("never starts before its time", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/early`);
    const start = Date.now() + 100;
    const batch = Array.from({ length: 200 }, (_, index) => eventOf(job, start + index * 3));
    const recorded = untilRecorded(dispatcher.events, batch);
    await dispatcher.accept(batch);
    await recorded;
    const arrived = receiver.requests.filter(({ path }) => path === "/early");
    expect(arrived).toHaveLength(batch.length);
    expect(arrived.filter(({ arrivedMs, nominalMs }) => arrivedMs < nominalMs)).toEqual([]);
    const early = await ground.sql(
      "select id from dispatcher.triggers where job_uid = $1 and start_time < effective_time",
      [job.uid],
    );
    expect(early).toEqual([]);
  });
});

describe("an attempt that fails", () => {
  test("is retried under the same id, with a new signature, until it succeeds", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/flaky`, { retryPolicy: quick });
    receiver.answer("/flaky", (number) => ({ status: number < 3 ? 500 : 200, body: `answer ${number}` }));
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event], 3);
    await dispatcher.accept([event]);
    await recorded;
    const requests = receiver.requests.filter(({ path }) => path === "/flaky");
    expect(requests.map(({ headers }) => headers["easycron-attempt"])).toEqual(["1", "2", "3"]);
    expect(requests.map(({ body }) => body.data.attempt)).toEqual([1, 2, 3]);
    expect(new Set(requests.map(({ id }) => id))).toEqual(new Set([event.triggerId]));
    expect(new Set(requests.map(({ headers }) => headers["webhook-signature"])).size).toBe(3);
    expect(await stateOf(event.triggerId)).toMatchObject({ state: "SUCCEEDED", attempt_count: 3 });
    expect(await attemptsOf(event.triggerId)).toMatchObject([
      {
        outcome: "REJECTED",
        status_code: 500,
        response_body: "answer 1",
        error: expect.stringContaining("500"),
      },
      { outcome: "REJECTED", status_code: 500 },
      { outcome: "SUCCEEDED", status_code: 200, error: "", response_body: "answer 3" },
    ]);
  });

  test("makes its trigger a dead letter if it was the last attempt", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/down`, { retryPolicy: quick });
    receiver.answer("/down", () => ({ status: 503 }));
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event], 3);
    await dispatcher.accept([event]);
    await recorded;
    expect(await stateOf(event.triggerId)).toMatchObject({
      state: "EXHAUSTED",
      attempt_count: 3,
      owner: null,
    });
    expect(await attemptsOf(event.triggerId)).toHaveLength(3);
  });

  test("makes its trigger a dead letter at once if the receiver answers 410", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/gone`, { retryPolicy: quick });
    receiver.answer("/gone", () => ({ status: 410 }));
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    expect(await stateOf(event.triggerId)).toMatchObject({ state: "EXHAUSTED", attempt_count: 1 });
  });

  test("is not retried if its job was deleted meanwhile", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/deleted`, { retryPolicy: quick });
    let answer = (_: { status: number }) => {};
    receiver.answer("/deleted", () => new Promise((resolve) => (answer = resolve)));
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await receiver.waitFor((all) => all.find(({ id }) => id === event.triggerId));
    await ground.sql("select dispatcher.cancel($1, now())", [job.uid]);
    answer({ status: 500 });
    await recorded;
    expect(await stateOf(event.triggerId)).toMatchObject({ state: "CANCELLED", attempt_count: 1 });
  });

  test("is made even if its trigger is too old, but is not retried then", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/old`, {
      retryPolicy: { ...quick, maxAge: "1s" },
    });
    receiver.answer("/old", () => ({ status: 500 }));
    const event = eventOf(job, Date.now() - 10_000);
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    expect(await stateOf(event.triggerId)).toMatchObject({ state: "EXHAUSTED", attempt_count: 1 });
  });
});

describe("a target that cannot be delivered to", () => {
  const cases = [
    [
      "a plugin that the operator has not set up",
      { target: { redis: { stream: "s" } } },
      /has not set up the Redis plugin/,
    ],
    ["a specification that cannot be read", { target: { pigeon: {} } }, /specification cannot be read/],
    ["a port where nobody listens", { target: { webhook: { url: "http://127.0.0.1:1/" } } }, /was refused/],
    ["an address that is not public", { target: { webhook: { url: "http://10.0.0.1/" } } }, /is not public/],
    ["a host name without address", { target: { webhook: { url: "http://nobody.invalid/" } } }, /host/],
  ] as const;

  test.each(cases)("gets attempts that are NOT_SENT and retried: %s", async (_, spec, error) => {
    const retryPolicy = { ...quick, minBackoff: "60s", maxBackoff: "60s", maxAge: "600s" };
    const job = await ground.addJob(projectId, receiver.url, { ...spec, retryPolicy });
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    const [attempt] = await attemptsOf(event.triggerId);
    expect(attempt).toMatchObject({
      outcome: "NOT_SENT",
      status_code: null,
      error: expect.stringMatching(error),
    });
    expect(attempt.error).not.toContain("10.0.0.1");
    expect((await stateOf(event.triggerId)).state).toMatch(/RETRYING|EXHAUSTED/);
  });

  test("is not called if its project has no signing key", async () => {
    const job = await ground.addJob("proj_00000000000000000000000000", `${receiver.url}/unsigned`);
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    expect(await attemptsOf(event.triggerId)).toMatchObject([{ outcome: "NOT_SENT", error: /signing key/ }]);
    expect(receiver.requests.filter(({ path }) => path === "/unsigned")).toEqual([]);
  });
});

test("a dead endpoint delays no delivery to another origin and no delivery of another project", async () => {
  const few = await ground.start({ EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY: "2" });
  const other = await startReceiver();
  const neighbour = await ground.addProject();
  const ends: (() => void)[] = [];
  receiver.answer("/dead", () => new Promise((resolve) => ends.push(() => resolve({ status: 204 }))));
  const dead = await ground.addJob(projectId, `${receiver.url}/dead`);
  const sameOrigin = await ground.addJob(neighbour.projectId, `${receiver.url}/alive`);
  const otherOrigin = await ground.addJob(projectId, `${other.url}/alive`);
  const at = Date.now() + 100;
  const backlog = Array.from({ length: 50 }, () => eventOf(dead, at));
  const live = [eventOf(sameOrigin, at + 50), eventOf(otherOrigin, at + 50)];
  const recorded = untilRecorded(few.events, [...backlog, ...live]);
  await few.accept([...backlog, ...live]);
  await receiver.waitFor((all) => all.find(({ id }) => id === live[0]?.triggerId));
  await other.waitFor((all) => all.find(({ id }) => id === live[1]?.triggerId));
  // Two triggers of the dead endpoint are in flight, and the others wait behind them.
  await receiver.waitFor(() => ends.length > 1);
  expect(ends).toHaveLength(2);
  receiver.answer("/dead", () => ({ status: 204 }));
  for (const end of ends) end();
  await recorded;
  await few.stop();
  await other.stop();
});
