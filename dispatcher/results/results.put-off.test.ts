import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, untilCounted, untilRecorded } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let session: pg.Client;

beforeAll(async () => {
  ground = await createGround();
  session = new pg.Client({ connectionString: ground.adminUrl });
  await session.connect();
  receiver = await startReceiver();
});

afterAll(async () => {
  await session.end();
  await ground.end();
  await receiver.stop();
});

test("results of locked triggers stop the claims of their project at 500, and no claim of another project", async () => {
  const dispatcher = await ground.start({ EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY: "1000" });
  // So many requests at once may take a busy machine longer than the usual 30 s.
  const slowly = { attemptTimeout: "60s" };
  const locked = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/locked`, slowly);
  const healthy = await ground.addJob((await ground.addProject()).projectId, `${receiver.url}/healthy`);
  const ends: (() => void)[] = [];
  receiver.answer("/locked", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
  const first = Array.from({ length: 600 }, (_, index) => eventOf(locked, Date.now() + index));
  await dispatcher.accept(first);
  await receiver.waitFor(() => ends.length === first.length, 45_000);

  await session.query("begin");
  await session.query("select from dispatcher.triggers where job_uid = $1 for update", [locked.uid]);
  const ended = untilCounted(dispatcher.events, "attempt", () => 1, first.length);
  for (const end of ends) end();
  await ended;
  const attempts = () => ground.sql("select from dispatcher.attempts");
  await expect.poll(attempts, { timeout: 10_000 }).toHaveLength(first.length);

  // Until then, all results have been put off at least once.
  const dueMs = Date.now() + 2_000;
  const more = eventOf(locked, dueMs + 10_000_000, { effectiveTimeMs: BigInt(dueMs) });
  const others = Array.from({ length: 100 }, (_, index) => eventOf(healthy, dueMs + index * 10));
  const lagging: object[] = [];
  dispatcher.events.on("lagging", (fields) => lagging.push(fields));
  const recorded = untilRecorded(dispatcher.events, others);
  await dispatcher.accept([more, ...others]);
  await recorded;
  expect(receiver.requests.map(({ id }) => id)).not.toContain(more.triggerId);
  expect(lagging).toEqual([]);

  receiver.answer("/locked", () => ({ status: 200 }));
  const rest = untilRecorded(dispatcher.events, [...first, more]);
  await session.query("rollback");
  await rest;
  // Each was delivered once.
  expect(receiver.requests).toHaveLength(first.length + 1 + others.length);
});
