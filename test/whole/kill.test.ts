import pg from "pg";
import { describe, expect, inject, test } from "vitest";
import { type EasyCron, EasyCronError } from "../../sdk/index.ts";
import { expectAgreement } from "../support/live-triggers.ts";
import { startMesh } from "../support/mesh.ts";
import { reached } from "../support/reached.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { accountFor, createFleet } from "./fleet.ts";

const JOBS = 200;
const WINDOW_MS = 30_000;
const RATE = JOBS;

/** How many processes of each service run. */
interface Counts {
  readonly schedulers: number;
  readonly dispatchers: number;
}

let setUps: Promise<unknown> = Promise.resolve();

/**
 * Starts the product, a receiver, and 200 jobs between them; all are ended by `await using`. Waits until the other tests
 * have made their set-ups, because three products that start at once on two cores are too slow for each other.
 */
function start(counts: Counts): Promise<Awaited<ReturnType<typeof setUp>>> {
  const own = setUps.then(() => setUp(counts));
  setUps = own.catch(() => undefined);
  return own;
}

async function setUp(counts: Counts) {
  const receiver = await startReceiver();
  const mesh = await startMesh({ ...counts, preparedData: inject("easycronPostgres").preparedData });
  const fleet = await createFleet(mesh, receiver, JOBS);
  const startMs = Math.ceil((Date.now() + 2_000) / 1_000) * 1_000;
  return {
    mesh,
    receiver,
    fleet,
    startMs,
    endMs: startMs + WINDOW_MS,
    /** Throws when dispatcher.live_triggers does not agree with dispatcher.triggers after the kills. */
    checkTables: async () => {
      const client = new pg.Client({ connectionString: mesh.databaseUrl });
      await client.connect();
      try {
        await expectAgreement(client);
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await mesh.stop();
      await receiver.stop();
    },
  };
}

/** How long `keepCreating` waits between two calls: calls without a pause would take much of the machine. */
const PAUSE_MS = 20;

/** Creates one job after the other, and tells which calls were acknowledged and with which reasons others failed. */
async function keepCreating(client: EasyCron, goesOn: () => boolean) {
  const acknowledged: string[] = [];
  const refusals: string[] = [];
  for (let number = 0; goesOn(); number++) {
    const name = `acknowledged-${number}`;
    const target = { kind: { case: "webhook" as const, value: { url: "http://127.0.0.1:9/" } } };
    try {
      await client.raw.jobs.createJob({ job: { name, target } });
      acknowledged.push(name);
    } catch (error) {
      const { reason, retryAfterMs } = EasyCronError.from(error);
      refusals.push(retryAfterMs === undefined ? `${reason} without a time to retry` : `${reason}`);
    }
    await reached(Date.now() + PAUSE_MS);
  }
  return { acknowledged, refusals };
}

/** Returns the names of all jobs. */
async function jobNames(client: EasyCron): Promise<string[]> {
  const names: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.raw.jobs.listJobs({ pageSize: 500, pageToken });
    names.push(...page.jobs.map(({ name }) => name));
    if (page.nextPageToken === "") return names;
    pageToken = page.nextPageToken;
  }
}

/**
 * Most deliveries that may be made again for a kill at this moment: those that were in flight or not yet recorded. A
 * result waits for at most a second before nothing more is claimed; what is claimed by then is sent within tenths of a
 * second. So it is what two seconds bring; more than usual while something is made up for, as the arrivals tell.
 */
function mostLost(receiver: Receiver, killMs: number): number {
  const arrived = receiver.requests.filter(
    ({ arrivedMs }) => arrivedMs > killMs - 2_000 && arrivedMs <= killMs,
  );
  return Math.max(2 * RATE, arrived.length);
}

// At once, each with a product of its own: most of their time is waiting for fire times.
describe.concurrent("200 jobs that fire every second for 30 seconds have exactly one trigger for every fire time", () => {
  test("while the scheduler, then the dispatcher, are killed with -9 at random moments", async () => {
    const random = randomFrom(seedOf("EASYCRON_KILL_SEED"));
    await using product = await start({ schedulers: 1, dispatchers: 1 });
    const { mesh, receiver, fleet, startMs, endMs } = product;
    let bound = 0;
    for (const [index, service] of (
      ["scheduler", "dispatcher", "scheduler", "dispatcher"] as const
    ).entries()) {
      await reached(startMs + index * 7_000 + random() * 6_000);
      await mesh.kill9(service, 0);
      if (service === "dispatcher") bound += mostLost(receiver, Date.now());
    }
    await reached(endMs);
    const duplicates = await accountFor(fleet, receiver, startMs, endMs);
    await product.checkTables();
    console.log(`kill -9 of scheduler and dispatcher: ${duplicates} duplicate deliveries of ${JOBS * 30}`);
    expect(duplicates).toBeLessThanOrEqual(bound);
  });

  test("while PostgreSQL is killed with -9 and comes back", async () => {
    const random = randomFrom(seedOf("EASYCRON_KILL_SEED"));
    await using product = await start({ schedulers: 1, dispatchers: 1 });
    const { mesh, receiver, fleet, startMs, endMs } = product;
    const caller = keepCreating(fleet.client, () => Date.now() < endMs);
    let bound = 0;
    for (const index of [0, 1]) {
      await reached(startMs + index * 13_000 + random() * 10_000);
      await mesh.kill9("postgres", 0);
      bound += mostLost(receiver, Date.now());
    }
    const { acknowledged, refusals } = await caller;
    expect(new Set(refusals)).toEqual(new Set(["SERVICE_UNAVAILABLE"]));
    expect(acknowledged.length).toBeGreaterThan(0);
    const names = new Set(await jobNames(fleet.client));
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
    const duplicates = await accountFor(fleet, receiver, startMs, endMs);
    await product.checkTables();
    console.log(`kill -9 of PostgreSQL: ${duplicates} duplicate deliveries of ${JOBS * 30}`);
    expect(duplicates).toBeLessThanOrEqual(bound);
  });

  test("with two schedulers and two dispatchers, when nothing arrives twice", async () => {
    await using product = await start({ schedulers: 2, dispatchers: 2 });
    const { receiver, fleet, startMs, endMs } = product;
    await reached(endMs);
    expect(await accountFor(fleet, receiver, startMs, endMs)).toBe(0);
    await product.checkTables();
  });
});
