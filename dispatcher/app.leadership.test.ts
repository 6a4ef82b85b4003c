import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../test/support/redis.ts";
import { createEvents, type OldSnapshotEvent } from "./events/events.ts";
import { createGround, type Ground } from "./testing/ground.ts";

const ALERT_MS = 1_000;

let redis: TestRedis;
let ground: Ground;
/** Holds a snapshot that each dispatcher in charge of that reports when it starts. */
let reader: pg.Client;

beforeAll(async () => {
  if (!hasRedis()) return;
  redis = await startTestRedis();
  ground = await createGround();
  reader = new pg.Client({ connectionString: ground.adminUrl, application_name: "a-reader" });
  await reader.connect();
  await reader.query("begin isolation level repeatable read");
  await reader.query("select count(*) from dispatcher.triggers");
  await reader.query("select pg_sleep($1)", [ALERT_MS / 1_000]);
});

afterAll(async () => {
  await reader?.end();
  await ground?.end();
  await redis?.stop();
});

/** Starts a dispatcher. `reports` are the snapshots that it reports. */
async function start(env: NodeJS.ProcessEnv) {
  const events = createEvents();
  const reports: OldSnapshotEvent[] = [];
  events.on("oldSnapshot", (event) => reports.push(event));
  const own = { EASYCRON_DISPATCHER_SNAPSHOT_ALERT_MS: String(ALERT_MS), ...env };
  const dispatcher = await ground.start(own, { events });
  return { reports, stop: () => dispatcher.stop(AbortSignal.abort()) };
}

describe.runIf(hasRedis())("housekeeping", () => {
  test("is done by one of two dispatchers with an internal Redis, and by the other one when it stops", async () => {
    const env = { REDIS_URL: redis.url };
    const first = await start(env);
    await expect.poll(() => first.reports.length, { timeout: 10_000 }).toBe(1);
    const second = await start(env);
    // Its first round has ended when it has stopped.
    await second.stop();
    expect(second.reports).toEqual([]);
    await first.stop();
    const third = await start(env);
    await expect.poll(() => third.reports.length, { timeout: 10_000 }).toBe(1);
    await third.stop();
    const admin = new Redis(redis.url, { protocol: 2 });
    expect(await admin.keys("easycron:leader:*")).toEqual([]);
    admin.disconnect();
  });

  test("is done by each dispatcher without one, and while it is away", async () => {
    const all = await Promise.all([{}, {}, { REDIS_URL: "redis://127.0.0.1:1" }].map(start));
    for (const { reports } of all) await expect.poll(() => reports.length, { timeout: 10_000 }).toBe(1);
    await Promise.all(all.map(({ stop }) => stop()));
  });
});
