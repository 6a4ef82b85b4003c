import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { AttemptOutcome, TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { Acknowledgement } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { instanceListStrangers } from "../instances/instances.sql.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";
import { acknowledgeOtherwise } from "./acknowledging.sql.ts";

let ground: Ground;
let receiver: Receiver;
let projectId: string;
beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
});
afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const running: TestDispatcher[] = [];
const start = async (env?: NodeJS.ProcessEnv) => {
  const dispatcher = await ground.start(env);
  running.push(dispatcher);
  return dispatcher;
};
let dispatcher: TestDispatcher;
beforeEach(async () => {
  dispatcher = await start();
});
afterEach(() => Promise.all(running.splice(0).map((each) => each.stop(AbortSignal.abort()))));

const POLICY = { retryPolicy: { maxAttempts: 2, minBackoff: "60s", maxBackoff: "60s" } };

/** Delivers a trigger of a new job that wants an acknowledgement, and returns its id and the token of its attempt. */
async function deliver(path: string, deadline = "600s", by = dispatcher) {
  const job = await ground.addJob(projectId, `${receiver.url}${path}`, {
    ...POLICY,
    acknowledgement: { deadline },
  });
  const event = eventOf(job, Date.now());
  const recorded = untilRecorded(by.events, [event]);
  await by.accept([event]);
  const request = await receiver.waitFor((all) => all.find((each) => each.id === event.triggerId));
  return {
    id: event.triggerId,
    job,
    request,
    token: String(request.headers["easycron-ack-token"]),
    recorded,
  };
}

const rowOf = async (id: string) =>
  (await ground.sql("select * from dispatcher.triggers where id = $1", [id]))[0] ?? {};
const acknowledge = async (by: TestDispatcher, request: object) =>
  (await by.client.acknowledgeTrigger({ request })).response;
const stateOf = (id: string) => expect.poll(async () => (await rowOf(id)).state, { timeout: 10_000 });

test("a trigger that is ACCEPTED belongs to no dispatcher, and outlives that of its attempt", async () => {
  const { id, token, recorded } = await deliver("/outlives");
  await recorded;
  expect(await rowOf(id)).toMatchObject({ state: "ACCEPTED", owner: "acknowledgement", end_time: null });
  expect(await ground.sql(instanceListStrangers.text)).toEqual([]);
  await dispatcher.stop(AbortSignal.abort());
  const other = await start();
  const answer = await acknowledge(other, { id, token, outcome: Acknowledgement.SUCCEEDED });
  expect(answer).toMatchObject({ isLate: false, trigger: { state: TriggerState.SUCCEEDED } });
});

test("a deadline that passes while its dispatcher is gone is noticed by another one, once", async () => {
  const { id, recorded } = await deliver("/gone", "1s");
  await recorded;
  await dispatcher.stop(AbortSignal.abort());
  await Promise.all([start(), start()]);
  await stateOf(id).toBe("RETRYING");
  expect(await rowOf(id)).toMatchObject({ attempt_count: 1, end_time: null });
  expect(await ground.attemptsOf(id)).toMatchObject([
    { outcome: "UNKNOWN", status_code: 204, error: expect.stringContaining("No acknowledgement") },
  ]);
});

test("a result that is recorded while an acknowledgement is being written heeds it", async () => {
  let end = () => {};
  receiver.answer("/race", () => new Promise((resolve) => (end = () => resolve({ status: 202 }))));
  const { id, recorded } = await deliver("/race");
  const now = new Date().toISOString();
  const values = [id, projectId, 1, now, "FAILED", "too fast", null, "7 days"];
  const attempt = new Promise((resolve) => dispatcher.events.on("attempt", resolve));
  await ground.whileCommitted(acknowledgeOtherwise.text, values, async () => {
    end();
    await attempt;
    // The result is not recorded, because the row is locked: it waits for the acknowledgement.
    await expect.poll(() => rowOf(id)).toMatchObject({ state: "RUNNING" });
  });
  await recorded;
  await stateOf(id).toBe("RETRYING");
  expect(await ground.attemptsOf(id)).toMatchObject([
    { outcome: "REJECTED", status_code: 202, error: "The receiver acknowledged a failure: too fast." },
  ]);
});

test("a success that comes while the attempt is in flight ends the trigger, whatever the attempt comes to", async () => {
  let end = () => {};
  receiver.answer("/loud", () => new Promise((resolve) => (end = () => resolve({ status: 500 }))));
  const { id, token, recorded } = await deliver("/loud");
  const { isLate } = (await acknowledge(dispatcher, { id, token })) ?? {};
  expect(isLate).toBe(false);
  end();
  await recorded;
  expect(await rowOf(id)).toMatchObject({ state: "SUCCEEDED", attempt_count: 1 });
  expect(await ground.attemptsOf(id)).toMatchObject([{ outcome: "REJECTED", status_code: 500 }]);
});

test("an acknowledgement of an attempt that was lost with its dispatcher counts if it is a success", async () => {
  receiver.answer("/lost", () => new Promise(() => {}));
  const { id, token } = await deliver("/lost");
  const other = await start();
  await ground.sql(
    "update dispatcher.instances set lease_until = now() - interval '1 s' where id = (select owner from dispatcher.triggers where id = $1)",
    [id],
  );
  await expect.poll(async () => (await ground.attemptsOf(id)).length, { timeout: 10_000 }).toBe(1);
  const failed = await acknowledge(other, { id, token, outcome: Acknowledgement.FAILED });
  expect(failed).toMatchObject({
    isLate: true,
    // The next attempt has started, or not yet.
    explanation: expect.stringMatching(/already counted as failed|was followed by attempt 2/),
  });
  const done = await acknowledge(other, { id, token });
  expect(done).toMatchObject({ isLate: false, trigger: { state: TriggerState.SUCCEEDED } });
  const { attempts = [] } =
    (await other.client.listAttempts({ projectId, request: { trigger: id } })).response ?? {};
  expect(attempts[0]).toMatchObject({ number: 1, outcome: AttemptOutcome.UNKNOWN });
});

test("a token of before a replay counts no more, and its message is not shown", async () => {
  const { id, token, recorded } = await deliver("/replayed");
  await recorded;
  await acknowledge(dispatcher, { id, token, message: "first" });
  const [{ fire_time: fireTime }] = [await rowOf(id)];
  await ground.sql(
    "select dispatcher.replay($1, array[$2], array[$3::timestamptz], array[1], array['job'], array['SUCCEEDED'], now(), now() + interval '1 h')",
    [projectId, id, fireTime],
  );
  const answer = await acknowledge(dispatcher, { id, token, message: "again" });
  expect(answer).toMatchObject({
    isLate: true,
    explanation: expect.stringContaining("made due again"),
    trigger: { state: TriggerState.PENDING, acknowledgementMessage: "" },
  });
  await ground.sql(
    "update dispatcher.triggers set state = 'CANCELLED', end_time = now(), owner = null where id = $1",
    [id],
  );
});

test("the headers have a URL only if the operator has said where the gateway is", async () => {
  const { request, recorded } = await deliver("/bare");
  expect(request.headers).not.toHaveProperty("easycron-ack-url");
  const named = await start({ EASYCRON_PUBLIC_URL: "https://api.example.com/cron/" });
  await dispatcher.stop();
  const other = await deliver("/named", "600s", named);
  expect(other.request.headers["easycron-ack-url"]).toBe(
    `https://api.example.com/cron/acknowledge/${other.id}/${other.token}`,
  );
  await Promise.all([recorded, other.recorded]);
});
