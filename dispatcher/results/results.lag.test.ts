import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";

const LEASE_MS = 1_000;
let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let holder: pg.Client;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  dispatcher = await ground.start({ EASYCRON_DISPATCHER_LEASE_MS: String(LEASE_MS) });
  holder = new pg.Client({ connectionString: ground.adminUrl });
  await holder.connect();
  // While somebody holds the advisory lock 42, no result can be recorded.
  await ground.sql(`create function public.wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$`);
  await ground.sql(`create trigger slow before delete on dispatcher.live_triggers
    for each statement execute function public.wait()`);
});

afterAll(async () => {
  await holder.end();
  await ground.end();
  await receiver.stop();
});

const leaseUntil = async () =>
  (await ground.sql("select lease_until from dispatcher.instances"))[0].lease_until;

test("the dispatcher stops claiming when results have waited for a second, and keeps its lease", async () => {
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, receiver.url);
  await holder.query("select pg_advisory_lock(42)");
  const startMs = Date.now() + 200;
  const batch = Array.from({ length: 400 }, (_, index) => eventOf(job, startMs + index * 10));
  let claimed = 0;
  dispatcher.events.on("claimed", ({ started }) => {
    claimed += started;
  });
  let firstResultMs = Number.POSITIVE_INFINITY;
  dispatcher.events.once("attempt", () => {
    firstResultMs = Date.now();
  });
  const lagging = new Promise<object>((resolve) => dispatcher.events.once("lagging", resolve));
  const losses: string[] = [];
  dispatcher.events.on("leaseLost", ({ instance }) => losses.push(instance));
  const recorded = untilRecorded(dispatcher.events, batch);
  expect(await dispatcher.accept(batch)).toMatchObject({ recorded: 400 });
  expect(await lagging).toMatchObject({ waiting: expect.any(Number) });
  await expect.poll(() => Date.now() > startMs + 4_000, { timeout: 10_000 }).toBe(true);
  // Now all triggers are due, and a lease renewal, which calls proceed(), has passed.
  const renewedAt = await leaseUntil();
  await expect.poll(async () => (await leaseUntil()) > renewedAt).toBe(true);
  // Only triggers that were due before the first result was a second old are claimed. Clocks may differ by some
  // milliseconds.
  expect(claimed).toBeGreaterThan(0);
  expect(claimed).toBeLessThanOrEqual((firstResultMs + 1_050 - startMs) / 10 + 1);
  await holder.query("select pg_advisory_unlock(42)");
  await recorded;
  expect(losses).toEqual([]);
  expect(receiver.requests).toHaveLength(batch.length);
});
