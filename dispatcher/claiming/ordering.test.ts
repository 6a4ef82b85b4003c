import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, type TestJob } from "../testing/ground.ts";
import { triggerCountEarlier } from "./ordering.sql.ts";

const ORDERED = {
  ordering: "ORDERING_PER_JOB",
  retryPolicy: { maxAttempts: 2, minBackoff: "0.5s", maxBackoff: "0.5s", maxAge: "60s" },
};

let ground: Ground;
let receiver: Receiver;
let projectId: string;
let dispatcher: TestDispatcher;
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

/** Three due events of a job, a millisecond apart, given to the dispatcher last first. */
async function acceptThree(job: TestJob) {
  const now = Date.now();
  const events = [0, 1, 2].map((offset) => eventOf(job, now - 3 + offset, { seq: offset + 1 }));
  await dispatcher.accept(events.toReversed());
  return events.map(({ triggerId }) => triggerId);
}
const arrivedAt = (path: string) => receiver.requests.filter((request) => request.path === path);
const untilArrived = (path: string, count: number) =>
  receiver.waitFor(() => arrivedAt(path).length >= count, 20_000);

describe("the triggers of a job with ordering PER_JOB", () => {
  test("are delivered one after the other by their nominal times, each after the retries of the one before", async () => {
    receiver.answer("/ordered", (number) => ({ status: number === 1 ? 500 : 204 }));
    const job = await ground.addJob(projectId, `${receiver.url}/ordered`, ORDERED);
    const [first, second, third] = await acceptThree(job);
    await untilArrived("/ordered", 4);
    expect(arrivedAt("/ordered").map(({ id }) => id)).toEqual([first, first, second, third]);
    // Over connections of its own: those for results must be free, whatever waits.
    expect(await ground.poolsOf(triggerCountEarlier)).toEqual(["easycron-dispatcher-waits"]);
  });

  test("are PENDING while they wait, and go on after one that is exhausted", async () => {
    receiver.answer("/dead", (number) => ({ status: number <= 2 ? 500 : 204 }));
    const job = await ground.addJob(projectId, `${receiver.url}/dead`, ORDERED);
    const [first, second, third] = await acceptThree(job);
    await untilArrived("/dead", 1);
    const states = () =>
      ground.sql("select id, state from dispatcher.triggers where job_uid = $1 order by fire_time", [
        job.uid,
      ]);
    expect((await states()).slice(1)).toEqual([
      { id: second, state: "PENDING" },
      { id: third, state: "PENDING" },
    ]);
    await untilArrived("/dead", 4);
    expect(arrivedAt("/dead").map(({ id }) => id)).toEqual([first, first, second, third]);
    await expect.poll(async () => (await states())[2].state, { timeout: 10_000 }).toBe("SUCCEEDED");
    expect((await states())[0].state).toBe("EXHAUSTED");
  });

  test("wait for one that another dispatcher holds, and go on when it has died", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/taken`, ORDERED);
    const now = Date.now();
    await ground.sql(
      "insert into dispatcher.instances values ('inst_dying', now(), now() + interval '1500 milliseconds')",
    );
    const held = eventOf(job, now - 10);
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
         kind, state, seq, attempt_count, owner, create_time, start_time)
       values ($1, $2, $2, $2, $3, $4, $5, 1, 'SCHEDULED', 'RUNNING', 1, 1, 'inst_dying', now(), now())`,
      [held.triggerId, new Date(now - 10), projectId, job.uid, job.name],
    );
    const later = eventOf(job, now, { seq: 2 });
    await dispatcher.accept([later]);
    await untilArrived("/taken", 2);
    expect(arrivedAt("/taken").map(({ id }) => id)).toEqual([held.triggerId, later.triggerId]);
  });
});

test("a job without ordering waits for nothing", async () => {
  receiver.answer("/plain", (number) => ({ status: number <= 3 ? 500 : 204 }));
  const { retryPolicy } = ORDERED;
  const job = await ground.addJob(projectId, `${receiver.url}/plain`, { retryPolicy });
  const ids = await acceptThree(job);
  await untilArrived("/plain", 3);
  expect(
    arrivedAt("/plain")
      .slice(0, 3)
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(ids.toSorted());
});
