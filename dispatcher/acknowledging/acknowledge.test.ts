import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { AttemptOutcome, TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { Acknowledgement } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { instanceListStrangers } from "../instances/instances.sql.ts";
import { acceptedRecord } from "../results/accepted.sql.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  untilRecorded,
} from "../testing/ground.ts";
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
  // PostgreSQL's clock: this process's has whole milliseconds.
  const now = (await ground.sql("select clock_timestamp()::text as now"))[0]?.now;
  const values = [id, projectId, 1, now, "FAILED", "too fast", null, "7 days"];
  await ground.whileCommitted(acknowledgeOtherwise.text, values, async () => {
    end();
    // The result has been recorded as far as it can be: the attempt is, and the trigger, whose row is locked, is not.
    await expect
      .poll(() => ground.attemptsOf(id), { timeout: 10_000 })
      .toMatchObject([{ outcome: "SUCCEEDED" }]);
    expect(await rowOf(id)).toMatchObject({ state: "RUNNING" });
  });
  await recorded;
  await stateOf(id).toBe("RETRYING");
  expect(await ground.attemptsOf(id)).toMatchObject([
    { outcome: "REJECTED", status_code: 202, error: "The receiver acknowledged a failure: too fast." },
  ]);
});

const WEEK_MS = 7 * 86_400_000;
/** Whether the deadline of a trigger is at most a week after the start of its only attempt. */
const isWithinWeek = async (id: string) => {
  const text = `select t.due_time <= a.start_time + interval '168 hours' as is_within
                  from dispatcher.triggers t join dispatcher.attempts a on a.trigger_id = t.id where t.id = $1`;
  return (await ground.sql(text, [id]))[0]?.is_within;
};

test("an extension that waits while its attempt is being recorded makes the deadline no later than a week after the start", async () => {
  receiver.answer("/unseen", () => new Promise(() => {}));
  const { id, token } = await deliver("/unseen");
  const { fire_time: fireTime } = await rowOf(id);
  const [start, end] = [new Date(Date.now() - 3_600_000).toISOString(), new Date().toISOString()];
  // As the dispatcher would record it: an attempt that took an hour.
  const change = { [id]: [1, end, start, end, new Date(Date.parse(start) + WEEK_MS).toISOString()] };
  const attempt = [
    [id],
    [fireTime],
    [1],
    [randomId("att")],
    [start],
    [3_600_000],
    [202],
    [""],
    [null],
    [null],
  ];
  const values = [[id], fireTime, fireTime, JSON.stringify(change), ...attempt, "{}"];
  let answer: ReturnType<typeof acknowledge> | undefined;
  await ground.whileCommitted(acceptedRecord.text, values, async () => {
    const extension = { outcome: Acknowledgement.EXTENDED, extendBy: { seconds: 604_800n } };
    answer = acknowledge(dispatcher, { id, token, ...extension });
    await ground.untilWaiting();
  });
  expect(await answer).toMatchObject({ isLate: false });
  expect(await rowOf(id)).toMatchObject({ state: "ACCEPTED", acknowledgement: "EXTENDED" });
  expect(await isWithinWeek(id)).toBe(true);
});

test("an extension that comes before the answer makes the deadline no later than a week after the start", async () => {
  let end = () => {};
  receiver.answer("/week", () => new Promise((resolve) => (end = () => resolve({ status: 202 }))));
  const { id, token, recorded } = await deliver("/week");
  await acknowledge(dispatcher, {
    id,
    token,
    outcome: Acknowledgement.EXTENDED,
    extendBy: { seconds: 604_800n },
  });
  end();
  await recorded;
  expect(await rowOf(id)).toMatchObject({ state: "ACCEPTED", acknowledgement: "EXTENDED" });
  expect(await isWithinWeek(id)).toBe(true);
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
