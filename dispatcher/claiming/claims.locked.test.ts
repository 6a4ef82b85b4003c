import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  type EventInit,
  eventOf,
  type Ground,
  type TestDispatcher,
  type TestJob,
  untilCounted,
  untilRecorded,
} from "../testing/ground.ts";

// What locks rows stands for a scheduler that has stopped between dispatcher.withdraw and COMMIT.

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let locked: TestJob;
let healthy: TestJob;
let session: pg.Client;
/** How many requests came before the test. */
let seen: number;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatcher = await ground.start();
  locked = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/locked`);
  healthy = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/healthy`);
});

beforeEach(async () => {
  seen = receiver.requests.length;
  session = new pg.Client({ connectionString: ground.adminUrl });
  await session.connect();
});

afterEach(async () => {
  await session.end();
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const COUNT = 40;

/** As many triggers of each of the two jobs, due at one instant. */
function batchAt(dueMs: number): { mine: EventInit[]; others: EventInit[]; all: EventInit[] } {
  const of = (job: TestJob) =>
    Array.from({ length: COUNT }, (_, index) =>
      eventOf(job, dueMs + index, { effectiveTimeMs: BigInt(dueMs) }),
    );
  const mine = of(locked);
  const others = of(healthy);
  return { mine, others, all: mine.flatMap((event, index) => [event, others[index] ?? event]) };
}

/** How long before their fire time triggers are accepted, so that their rows are surely locked before it. */
const LEAD_MS = 3_000;

const postponedOnce = () => untilCounted(dispatcher.events, "claimed", ({ postponed }) => postponed, 1);

async function withdraw(): Promise<void> {
  await session.query("begin");
  await session.query("select dispatcher.withdraw($1, now())", [locked.uid]);
}

const arrived = () => receiver.requests.slice(seen).map(({ path }) => path);

describe("a claim of triggers whose rows another transaction has locked", () => {
  test("delays no other project, and claims them once the rows are free", async () => {
    const { mine, others, all } = batchAt(Date.now() + LEAD_MS);
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(all);
    const postponed = postponedOnce();
    await withdraw();
    await postponed;
    await recorded;
    expect(arrived()).toEqual(Array.from({ length: COUNT }, () => "/healthy"));
    const late = untilRecorded(dispatcher.events, mine);
    await session.query("rollback");
    await late;
    expect(arrived().filter((path) => path === "/locked")).toHaveLength(COUNT);
  });

  test("drops them if the other transaction withdraws them", async () => {
    const { others, all } = batchAt(Date.now() + LEAD_MS);
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(all);
    const postponed = postponedOnce();
    await withdraw();
    await postponed;
    await recorded;
    const refused = untilCounted(dispatcher.events, "claimed", (each) => each.refused, COUNT);
    await session.query("commit");
    await refused;
    expect(arrived()).not.toContain("/locked");
  });
});

test("a trigger that has no attempt left is ended once its row is free, and delays no other end", async () => {
  const [mine, other] = [locked, healthy];
  const events = [mine, other].map((job) => eventOf(job, Date.now() + 60_000));
  const stateOf = async (index: number) => {
    const id = events[index]?.triggerId;
    return (await ground.sql("select state, owner from dispatcher.triggers where id = $1", [id]))[0];
  };
  await dispatcher.accept(events);
  // As after a dispatcher has died at the last attempt of both.
  const taken = untilCounted(dispatcher.events, "taken", ({ count }) => count, 2);
  await ground.sql(
    "update dispatcher.triggers set attempt_count = 90, due_time = now() + interval '4 s' where id = any ($1)",
    [events.map(({ triggerId }) => triggerId)],
  );
  await taken;
  await session.query("begin");
  await session.query("select from dispatcher.triggers where id = $1 for update", [events[0]?.triggerId]);
  await expect.poll(() => stateOf(1)).toMatchObject({ state: "EXHAUSTED" });
  expect(await stateOf(0)).toMatchObject({ state: "PENDING" });
  await session.query("rollback");
  await expect.poll(() => stateOf(0)).toMatchObject({ state: "EXHAUSTED" });
  expect(arrived()).toEqual([]);
});

describe("a result whose trigger another transaction has locked", () => {
  test("delays no other project's results, and is recorded once the row is free", async () => {
    const ends: (() => void)[] = [];
    receiver.answer("/locked", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
    const mine = Array.from({ length: COUNT }, (_, index) => eventOf(locked, Date.now() + index));
    await dispatcher.accept(mine);
    await receiver.waitFor((all) => all.length - seen >= COUNT);
    await session.query("begin");
    await session.query("select from dispatcher.triggers where job_uid = $1 for update", [locked.uid]);
    const ended = untilCounted(dispatcher.events, "attempt", () => 1, COUNT);
    for (const end of ends) end();
    receiver.answer("/locked", () => ({ status: 200 }));
    await ended;
    const others = Array.from({ length: COUNT }, (_, index) => eventOf(healthy, Date.now() + index));
    const recorded = untilRecorded(dispatcher.events, others);
    await dispatcher.accept(others);
    await recorded;
    const states = async () => {
      const ids = mine.map(({ triggerId }) => triggerId);
      const rows = await ground.sql("select distinct state from dispatcher.triggers where id = any ($1)", [
        ids,
      ]);
      return rows.map(({ state }) => state);
    };
    expect(await states()).toEqual(["RUNNING"]);
    const late = untilRecorded(dispatcher.events, mine);
    await session.query("rollback");
    await late;
    expect(await states()).toEqual(["SUCCEEDED"]);
  });
});
