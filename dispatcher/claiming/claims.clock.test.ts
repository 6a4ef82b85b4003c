import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, untilCounted, untilRecorded } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

test("a trigger waits again when the clock steps back between its due time and its claim", async () => {
  let offsetMs = 0;
  const dispatcher = await ground.start({}, { clock: { now: () => Date.now() + offsetMs } });
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, receiver.url);
  // While somebody holds this lock, no specification can be read. So the trigger becomes due and is not claimed yet.
  const session = new pg.Client({ connectionString: ground.adminUrl });
  await session.connect();
  await session.query("begin");
  await session.query("lock table scheduler.revisions in access exclusive mode");
  const event = eventOf(job, Date.now() + 200);
  await dispatcher.accept([event]);
  await expect.poll(() => Date.now() > Number(event.effectiveTimeMs) + 100).toBe(true);
  offsetMs = -60_000;
  const postponed = untilCounted(dispatcher.events, "claimed", (each) => each.postponed, 1);
  await session.query("rollback");
  await postponed;
  expect(receiver.requests).toEqual([]);
  // The clock is set right: the trigger goes out at once, and not when a sweep finds it.
  const taken: number[] = [];
  dispatcher.events.on("taken", ({ count }) => taken.push(count));
  const recorded = untilRecorded(dispatcher.events, [event]);
  offsetMs = 0;
  await recorded;
  expect(taken).toEqual([]);
  expect(receiver.requests.map(({ id }) => id)).toEqual([event.triggerId]);
  await session.end();
});
