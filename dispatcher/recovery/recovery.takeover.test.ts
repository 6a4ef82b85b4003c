import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  type TestJob,
  untilCounted,
  untilEvent,
  untilRecorded,
} from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatcher = await ground.start({ EASYCRON_DISPATCHER_LEASE_MS: "1000" });
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const stateOf = async (id: string) =>
  (await ground.sql("select * from dispatcher.triggers where id = $1", [id]))[0];
const attemptsOf = (id: string) => ground.attemptsOf(id);

async function addInstance(leaseMs: number): Promise<string> {
  const id = `inst_${randomUUID()}`;
  await ground.sql(
    "insert into dispatcher.instances values ($1, now(), now() + $2 * interval '1 millisecond')",
    [id, leaseMs],
  );
  return id;
}

/** Adds a trigger in the state in which a dispatcher that died has left it. */
async function addTrigger(
  job: TestJob,
  left: { owner: string; state: string; attempts: number; cancelled?: boolean },
) {
  const id = randomId("trg");
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time, cancel_time)
     values ($1, date_trunc('milliseconds', now()), date_trunc('milliseconds', now()), date_trunc('milliseconds', now()), $2, $3, $4, 1, 'SCHEDULED', $5, 1, $6, $7, now(),
       case when $6 > 0 then now() end, case when $8 then now() end)`,
    [id, projectId, job.uid, job.name, left.state, left.attempts, left.owner, left.cancelled ?? false],
  );
  return id;
}

describe("when the lease of a dispatcher has expired,", () => {
  test("another dispatcher records its attempt in flight as UNKNOWN and makes the next attempt", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/running`);
    const id = await addTrigger(job, { owner: await addInstance(300), state: "RUNNING", attempts: 1 });
    const request = await receiver.waitFor((all) => all.find((each) => each.id === id));
    expect(request.headers["easycron-attempt"]).toBe("2");
    await expect.poll(async () => (await stateOf(id)).state).toBe("SUCCEEDED");
    expect(await attemptsOf(id)).toMatchObject([
      {
        number: 1,
        outcome: "UNKNOWN",
        id: expect.stringMatching(/^att_/),
        error: expect.stringContaining("ended"),
      },
      { number: 2, outcome: "SUCCEEDED" },
    ]);
  });

  test("another dispatcher takes its pending triggers, starts at attempt 1, and removes the instance", async () => {
    // An instance that owns nothing yet would be removed at once.
    const owner = await addInstance(60_000);
    const job = await ground.addJob(projectId, `${receiver.url}/pending`);
    const ids = await Promise.all(
      Array.from({ length: 20 }, () => addTrigger(job, { owner, state: "PENDING", attempts: 0 })),
    );
    await ground.sql("update dispatcher.instances set lease_until = now() where id = $1", [owner]);
    await receiver.waitFor((all) => ids.every((id) => all.some((each) => each.id === id)));
    const requests = receiver.requests.filter(({ path }) => path === "/pending");
    expect(requests.map(({ headers }) => headers["easycron-attempt"])).toEqual(ids.map(() => "1"));
    await expect
      .poll(() => ground.sql("select id from dispatcher.instances where id = $1", [owner]))
      .toEqual([]);
  });

  test("a trigger of it that is no longer wanted is cancelled and not retried", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/cancelled`);
    const owner = await addInstance(0);
    const id = await addTrigger(job, { owner, state: "RUNNING", attempts: 1, cancelled: true });
    await expect.poll(async () => (await stateOf(id)).state).toBe("CANCELLED");
    expect(await attemptsOf(id)).toMatchObject([{ number: 1, outcome: "UNKNOWN" }]);
  });

  test("a job is woken that waits for the end of such a trigger", async () => {
    const overlapPolicy = "OVERLAP_POLICY_BUFFER_ONE";
    const job = await ground.addJob(projectId, `${receiver.url}/waited-for`, { overlapPolicy });
    const text =
      "update scheduler.jobs set waits_for_end = true, wake_time = now() + interval '1 day' where uid = $1";
    await ground.sql(text, [job.uid]);
    await addTrigger(job, { owner: await addInstance(0), state: "RUNNING", attempts: 1, cancelled: true });
    const awake = "select uid from scheduler.jobs where uid = $1 and wake_time <= now()";
    await expect.poll(() => ground.sql(awake, [job.uid])).toHaveLength(1);
  });

  test("a trigger whose attempts are lost again and again becomes a dead letter", async () => {
    const retryPolicy = { maxAttempts: 1, minBackoff: "1s", maxBackoff: "1s", maxAge: "60s" };
    const job = await ground.addJob(projectId, `${receiver.url}/crash`, { retryPolicy });
    const id = await addTrigger(job, { owner: await addInstance(0), state: "RUNNING", attempts: 4 });
    await expect.poll(async () => (await stateOf(id)).state).toBe("EXHAUSTED");
    expect(receiver.requests.filter((each) => each.id === id)).toEqual([]);
  });
});

describe("a dispatcher that was stalled past its lease", () => {
  test("takes a new lease, and delivers each trigger that it held once", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/stalled`);
    const batch = Array.from({ length: 20 }, (_, index) => eventOf(job, Date.now() + 1_500 + index));
    await dispatcher.accept(batch);
    const lost = untilEvent(dispatcher.events, "leaseLost");
    const leased = untilEvent(dispatcher.events, "leased");
    await ground.sql("update dispatcher.instances set lease_until = now() - interval '1 second'");
    await lost;
    await leased;
    await receiver.waitFor((all) => batch.every(({ triggerId }) => all.some(({ id }) => id === triggerId)));
    expect(receiver.requests.filter(({ path }) => path === "/stalled")).toHaveLength(batch.length);
  });

  test("records the success of its slow attempt over the retry that another dispatcher has planned", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/slow`);
    let answer = (_: { status: number }) => {};
    receiver.answer("/slow", () => new Promise((resolve) => (answer = resolve)));
    const event = eventOf(job, Date.now());
    await dispatcher.accept([event]);
    await receiver.waitFor((all) => all.find(({ id }) => id === event.triggerId));
    const attemptId = randomId("att");
    await ground.sql(
      `insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms)
       select id, fire_time, 1, $2, 'UNKNOWN', now(), 0 from dispatcher.triggers where id = $1`,
      [event.triggerId, attemptId],
    );
    await ground.sql(
      "update dispatcher.triggers set state = 'RETRYING', owner = null, due_time = now() + interval '1 hour' where id = $1",
      [event.triggerId],
    );
    const recorded = untilRecorded(dispatcher.events, [event]);
    answer({ status: 200 });
    await recorded;
    expect(await stateOf(event.triggerId)).toMatchObject({ state: "SUCCEEDED", owner: null });
    expect(await attemptsOf(event.triggerId)).toMatchObject([
      { id: attemptId, number: 1, outcome: "SUCCEEDED", status_code: 200 },
    ]);
  });
});

test("a dispatcher that stops finishes its attempts in flight, releases all other triggers, and removes its instance", async () => {
  const own = await createGround();
  const leaving = await own.start();
  const project = await own.addProject();
  const slow = await own.addJob(project.projectId, `${receiver.url}/finishing`);
  const later = await own.addJob(project.projectId, `${receiver.url}/later`);
  let answer = (_: { status: number }) => {};
  receiver.answer("/finishing", () => new Promise((resolve) => (answer = resolve)));
  const inFlight = eventOf(slow, Date.now());
  const held = eventOf(later, Date.now() + 8_000);
  await leaving.accept([inFlight, held]);
  await receiver.waitFor((all) => all.find(({ id }) => id === inFlight.triggerId));
  const ended = untilCounted(leaving.events, "attempt", () => 1, 1);
  const stopped = leaving.stop();
  answer({ status: 200 });
  await Promise.all([ended, stopped]);
  const rows = await own.sql("select id, state, owner from dispatcher.triggers order by fire_time");
  expect(rows).toEqual([
    { id: inFlight.triggerId, state: "SUCCEEDED", owner: null },
    { id: held.triggerId, state: "PENDING", owner: null },
  ]);
  expect(await own.sql("select id from dispatcher.instances")).toEqual([]);
  await own.end();
});
