import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../mesh/clock.ts";
import { createLogger } from "../../mesh/logger.ts";
import { manualEvent, type TriggerEventInit } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { type Accept, type FakeDispatcher, startFakeDispatcher } from "../testing/fake-dispatcher.ts";
import { createDispatchers } from "./dispatchers.ts";
import { createHandOver, handOverTimeoutMs, MAX_BATCH, sendAllOrThrow } from "./hand-over.ts";

const logger = createLogger("test", { EASYCRON_LOG_LEVEL: "silent" });

const eventOf = (uid: string): TriggerEventInit =>
  manualEvent({ uid, name: "job", revision: 1, epoch: 1, project_id: "proj_1" } as JobRow, {
    nominalTimeMs: 0,
    requestId: "r",
    payloadJson: undefined,
    zoneData: "2026a",
  });
const event = eventOf("job_1");
/** One event of each of 200 jobs. */
const many = Array.from({ length: 200 }, (_, index) => eventOf(`job_${index}`));

const closes: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close();
});

async function serve(accept: Accept, address?: string): Promise<FakeDispatcher> {
  const fake = await startFakeDispatcher(accept, address);
  closes.push(fake.stop);
  return fake;
}

/** Records all events, and remembers their jobs. */
function recorder() {
  const jobs: string[] = [];
  const accept: Accept = async function* (requests) {
    for await (const { batchId, events } of requests) {
      jobs.push(...events.map(({ jobUid }) => jobUid));
      yield { batchId, recorded: events.length };
    }
  };
  return { jobs, accept };
}

/** Reads batches and never answers. */
const silent: Accept = async function* (requests) {
  for await (const _ of requests) yield* [];
};

async function handOverTo(fakes: readonly FakeDispatcher[], timeoutMs = 5_000) {
  const addresses = fakes.map(({ address }) => address);
  // A check per hour after the first one: what `markDead` says holds for the whole test.
  const dispatchers = createDispatchers({ addresses, logger, checkEveryMs: 3_600_000 });
  closes.push(dispatchers.close);
  await dispatchers.untilChecked();
  const handOver = createHandOver({ dispatchers, logger, clock: systemClock, timeoutMs });
  closes.push(handOver.close);
  return { ...handOver, dispatchers };
}

describe("handing over", () => {
  test("cuts events into batches and resolves when all of them are durable", async () => {
    const sizes: number[] = [];
    const fake = await serve(async function* (requests) {
      for await (const { batchId, events } of requests) {
        sizes.push(events.length);
        yield { batchId, recorded: events.length };
      }
    });
    const { send } = await handOverTo([fake]);
    expect(await send(Array.from({ length: 2 * MAX_BATCH + 1 }, () => event))).toEqual([]);
    expect(sizes.sort((a, b) => a - b)).toEqual([1, MAX_BATCH, MAX_BATCH]);
  });

  test("has at most two batches under way at a dispatcher, and begins none after one has failed", async () => {
    const sent: bigint[] = [];
    const answers = Promise.withResolvers<void>();
    const fake = await serve(async function* (requests) {
      const ids: bigint[] = [];
      for await (const { batchId } of requests) {
        sent.push(batchId);
        ids.push(batchId);
        if (ids.length < 2) continue;
        await answers.promise;
        yield { batchId: ids.shift() ?? 0n, errorCode: 14, errorMessage: "away" };
      }
    });
    const { send } = await handOverTo([fake]);
    const sending = send(Array.from({ length: 6 * MAX_BATCH }, () => event));
    await expect.poll(() => sent.length).toBe(2);
    // A third would have been sent at once.
    await new Promise((resolve) => setTimeout(resolve, 50));
    answers.resolve();
    await expect(sending).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sent).toHaveLength(2);
  });

  test("gives each dispatcher its share, and each job to the same dispatcher every time", async () => {
    const [one, two] = [recorder(), recorder()];
    const { send } = await handOverTo([await serve(one.accept), await serve(two.accept)]);
    await send(many);
    const first = [...one.jobs];
    expect(first.length).toBeGreaterThan(50);
    expect(two.jobs.length).toBeGreaterThan(50);
    await send(many.toReversed());
    expect(new Set(one.jobs)).toEqual(new Set(first));
    expect(one.jobs.length + two.jobs.length).toBe(2 * many.length);
  });

  test("returns the events that were refused or postponed", async () => {
    const fake = await serve(async function* (requests) {
      for await (const { batchId } of requests)
        yield { batchId, refused: [{ triggerId: "trg_bad", problem: "U+0000" }], postponed: ["trg_locked"] };
    });
    const handOver = await handOverTo([fake]);
    expect(await handOver.send([event])).toEqual([
      { triggerId: "trg_bad", problem: "U+0000", isTransient: false },
      { triggerId: "trg_locked", problem: expect.stringContaining("locked"), isTransient: true },
    ]);
    await expect(sendAllOrThrow(handOver, [event])).rejects.toMatchObject({ reason: "INTERNAL" });
  });

  test("fails a call for one job with SERVICE_UNAVAILABLE when its event was postponed", async () => {
    const fake = await serve(async function* (requests) {
      for await (const { batchId } of requests) yield { batchId, postponed: ["trg_locked"] };
    });
    const sent = sendAllOrThrow(await handOverTo([fake]), [event]);
    await expect(sent).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  });

  test("tells the dispatcher a deadline before the moment at which it gives up", async () => {
    const deadlines: number[] = [];
    const fake = await serve(async function* (requests) {
      for await (const { batchId, deadlineMs } of requests) {
        deadlines.push(Number(deadlineMs));
        yield { batchId };
      }
    });
    const { send } = await handOverTo([fake], 10_000);
    const beforeMs = Date.now();
    await send([event]);
    expect(deadlines[0]).toBeGreaterThanOrEqual(beforeMs + 8_000);
    expect(deadlines[0]).toBeLessThanOrEqual(Date.now() + 8_000);
  });

  test("gives a dispatcher at most 1,500 ms, and at most a third of the look-ahead", () => {
    expect([1_000, 3_000, 5_000, 9_000].map(handOverTimeoutMs)).toEqual([333, 1_000, 1_500, 1_500]);
  });
});

describe("a batch that a dispatcher does not record", () => {
  test("goes to another dispatcher in the same call when no answer comes in time", async () => {
    const other = recorder();
    const stalled = await serve(silent);
    const { send, dispatchers } = await handOverTo([stalled, await serve(other.accept)], 200);
    expect(await send(many)).toEqual([]);
    expect(new Set(other.jobs)).toEqual(new Set(many.map(({ jobUid }) => jobUid)));
    expect(dispatchers.live().map(({ address }) => address)).not.toContain(stalled.address);
  });

  test("goes to another dispatcher when its stream breaks", async () => {
    const other = recorder();
    let read = () => {};
    const isRead = new Promise<void>((resolve) => {
      read = resolve;
    });
    const dying = await serve(async function* (requests) {
      for await (const _ of requests) {
        read();
        yield* [];
      }
    });
    const { send } = await handOverTo([dying, await serve(other.accept)]);
    const sent = send(many);
    await isRead;
    await dying.stop();
    expect(await sent).toEqual([]);
    expect(new Set(other.jobs).size).toBe(many.length);
  });

  test("goes to another dispatcher when the answer is an error; the dispatcher stays live", async () => {
    const other = recorder();
    const failing = await serve(async function* (requests) {
      for await (const { batchId } of requests) yield { batchId, errorCode: 14, errorMessage: "database" };
    });
    const { send, dispatchers } = await handOverTo([failing, await serve(other.accept)]);
    expect(await send(many)).toEqual([]);
    expect(new Set(other.jobs).size).toBe(many.length);
    expect(dispatchers.live()).toHaveLength(2);
  });

  test("fails the call after the second try", async () => {
    const { send } = await handOverTo([await serve(silent), await serve(silent), await serve(silent)], 100);
    await expect(send([event])).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  });

  test("fails the call when there is no other dispatcher, and the next call uses the same stream", async () => {
    let code = 14;
    const streams: unknown[] = [];
    const fake = await serve(async function* (requests) {
      streams.push(requests);
      for await (const { batchId } of requests) yield { batchId, errorCode: code, errorMessage: "database" };
    });
    const { send } = await handOverTo([fake]);
    await expect(send([event])).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    code = 0;
    await send([event]);
    expect(streams).toHaveLength(1);
  });

  test("fails the call at once when no dispatcher is live", async () => {
    const fake = await serve(recorder().accept);
    fake.server.setServing(false);
    const { send } = await handOverTo([fake], 60_000);
    await expect(send([event])).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  });
});
