import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { once } from "../idempotency/once.ts";
import { redisTransactions } from "./redis-transactions.ts";

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  if (!hasRedis()) return;
  server = await startTestRedis();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

function createStore() {
  const store = redisTransactions(redis, { prefix: "proj_a:app:done:", keepMs: 60_000 });
  onTestFinished(() => store.close());
  return store;
}

describe.runIf(hasRedis())("redisTransactions", () => {
  test("lets the commands of a handler take effect once, however many run it at the same time", async () => {
    const stores = [createStore(), createStore()];
    const copies = Array.from({ length: 40 }, (_, at) => stores[at % 2] ?? createStore());
    const outcomes = await Promise.all(
      copies.map((store) => once("trg_1", store, ({ client }) => void client.incr("proj_a:app:count"))),
    );
    expect(await redis.get("proj_a:app:count")).toBe("1");
    expect(outcomes.filter(({ kind }) => kind === "RAN")).toHaveLength(1);
    const again = await once("trg_1", createStore(), ({ client }) => void client.incr("proj_a:app:count"));
    expect(again.kind).toBe("ALREADY_DONE");
    expect(await redis.pttl("proj_a:app:done:trg_1")).toBeGreaterThan(50_000);
  });

  test("lets a handler that fails have no effect, and the next one run", async () => {
    const store = createStore();
    const tokens: number[] = [];
    const run = (isBroken: boolean) =>
      once("trg_2", store, ({ client, token }) => {
        tokens.push(token);
        client.rpush("proj_a:app:list", String(token));
        if (isBroken) throw new Error("no room");
      });
    await expect(run(true)).rejects.toThrow("no room");
    expect(await redis.exists("proj_a:app:list")).toBe(0);
    expect((await run(false)).kind).toBe("RAN");
    expect(await redis.llen("proj_a:app:list")).toBe(1);
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? 0);
  });

  test("returns to later copies what the handler returned", async () => {
    const store = createStore();
    await once("trg_3", store, () => ({ paid: 5 }));
    expect(await once("trg_3", store, () => ({ paid: 6 }))).toEqual({
      kind: "ALREADY_DONE",
      value: { paid: 5 },
    });
  });

  test("throws when a command of the transaction fails", async () => {
    await redis.set("proj_a:app:text", "x");
    const act = once("trg_4", createStore(), ({ client }) => void client.incr("proj_a:app:text"));
    await expect(act).rejects.toThrow("A command of the transaction of trg_4 failed");
  });

  test("throws when the server stands still before the commands are executed, which then happens once", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    onTestFinished(() => void process.kill(server.pid, "SIGCONT"));
    const stopped = Promise.withResolvers<void>();
    const count = ({ client }: { client: { incr(key: string): unknown } }) =>
      void client.incr("proj_a:app:paused");
    const failed = once("trg_5", createStore(), (context) => {
      count(context);
      process.kill(server.pid, "SIGSTOP");
      stopped.resolve();
    }).catch((error: unknown) => error);
    await stopped.promise;
    // Its commands are sent by then.
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await failed).toMatchObject({
      message: expect.stringContaining("has not answered EXEC within 10000 ms"),
    });
    process.kill(server.pid, "SIGCONT");
    await once("trg_5", createStore(), count);
    expect(await redis.get("proj_a:app:paused")).toBe("1");
  });
});
