import { durationMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  eventOf,
  type Ground,
  randomId,
  type TestDispatcher,
  type TestJob,
} from "../testing/ground.ts";
import { heldTrigger } from "../testing/held.ts";
import { triggerCountEarlier } from "./ordering.sql.ts";
import { toLines } from "./ordering.ts";

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
    // What it waited for the first one, and its retry, is ours.
    const { response } = await dispatcher.client.getTrigger({ projectId, request: { id: third ?? "" } });
    expect(response?.trigger?.lateness).toMatchObject({ theirs: { seconds: 0n, nanos: 0 } });
    const ours = response?.trigger?.lateness?.ours;
    expect(ours && durationMs(ours)).toBeGreaterThan(400);
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

  test("keep their order when an earlier one comes while a later one waits for its flow key", async () => {
    const flow = { key: "line", maxInFlight: 1 };
    const blocker = await ground.addJob(projectId, `${receiver.url}/blocker`, { flow });
    const job = await ground.addJob(projectId, `${receiver.url}/line`, { ...ORDERED, flow });
    const end = Promise.withResolvers<void>();
    receiver.answer("/blocker", async () => {
      await end.promise;
      return { status: 204 };
    });
    const now = Date.now();
    await dispatcher.accept([eventOf(blocker, now - 30)]);
    await untilArrived("/blocker", 1);
    const [first, second] = [eventOf(job, now - 20), eventOf(job, now - 10, { seq: 2 })];
    for (const event of [second, first]) {
      await dispatcher.accept([event]);
      const read = "select waiting_for from dispatcher.triggers where id = $1";
      const waitingFor = async () => (await ground.sql(read, [event.triggerId]))[0].waiting_for;
      await expect.poll(waitingFor, { timeout: 10_000 }).toBe("FLOW");
    }
    end.resolve();
    await untilArrived("/line", 2);
    expect(arrivedAt("/line").map(({ id }) => id)).toEqual([first.triggerId, second.triggerId]);
  });

  test("that are late do not wait until no trigger of another job comes for their destination", async () => {
    const narrow = await ground.start({ EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY: "1" });
    const busy = await ground.addJob(projectId, `${receiver.url}/busy`);
    const job = await ground.addJob(projectId, `${receiver.url}/late`, ORDERED);
    const more = () => eventOf(busy, Date.now(), { triggerId: randomId("trg") });
    receiver.answer("/busy", async (number) => {
      // So there is always one that waits.
      if (number <= 30) await narrow.accept([more()]);
      return { status: 204 };
    });
    const late = eventOf(job, Date.now() - 60_000, { kind: TriggerKind.CATCHUP });
    await narrow.accept([more(), more(), more(), more()]);
    await narrow.accept([late]);
    await untilArrived("/late", 1);
    expect(arrivedAt("/busy").length).toBeLessThan(30);
    await untilArrived("/busy", 34);
  });
});

test("the triggers of each job are lined up by nominal time, and by id if two are equal", () => {
  const trigger = (jobUid: string, id: string, atMs: number) => heldTrigger(atMs, { jobUid, id });
  const [a1, a2, a3, b1] = [
    trigger("a", "x", 1),
    trigger("a", "y", 2),
    trigger("a", "z", 2),
    trigger("b", "w", 9),
  ];
  expect(toLines([a3, b1, a1, a2])).toEqual([[a1, a2, a3], [b1]]);
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
