import { beforeEach, describe, expect, test, vi } from "vitest";
import { createFakeClock, type FakeClock } from "../fakes/fake-clock.ts";
import { memoryStore } from "./memory-store.ts";
import { type OnceContext, once } from "./once.ts";
import { HandlerTimeoutError, LostClaimError } from "./once-error.ts";
import type { IdempotencyStore } from "./store.ts";

let clock: FakeClock;
let store: IdempotencyStore;
beforeEach(() => {
  clock = createFakeClock();
  store = memoryStore({ clock });
});

/** A handler that ends when the test says so. */
function openHandler() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const contexts: OnceContext[] = [];
  const handler = (context: OnceContext) => {
    contexts.push(context);
    return promise;
  };
  return { handler, contexts, resolve, reject };
}

describe("once", () => {
  test("runs the handler for the first delivery, and gives its result to later ones", async () => {
    const handler = vi.fn(() => ({ invoice: 7 }));
    const trigger = { trigger: "trg_1" };
    expect(await once(trigger, store, handler, { clock })).toEqual({ kind: "RAN", value: { invoice: 7 } });
    expect(await once("trg_1", store, handler, { clock })).toEqual({
      kind: "ALREADY_DONE",
      value: { invoice: 7 },
    });
    expect(handler).toHaveBeenCalledTimes(1);
    expect(await once("trg_2", store, () => undefined)).toEqual({ kind: "RAN", value: undefined });
    expect(await once("trg_2", store, () => 1)).toEqual({ kind: "ALREADY_DONE", value: undefined });
  });

  test("runs one of two deliveries at once, and tells the other how long to wait", async () => {
    const { handler, contexts, resolve } = openHandler();
    const first = once("trg_1", store, handler, { clock });
    const second = await once("trg_1", store, handler, { clock, leaseMs: 5_000 });
    expect(second).toEqual({ kind: "IN_PROGRESS", retryAfterMs: 30_000 });
    resolve("done");
    expect(await first).toEqual({ kind: "RAN", value: "done" });
    expect(contexts).toMatchObject([{ id: "trg_1", client: undefined }]);
    expect(contexts[0]?.signal.aborted).toBe(false);
  });

  test("throws the error of the handler, and the next attempt runs it at once", async () => {
    const failure = new Error("The printer is on fire.");
    const tokens: number[] = [];
    await expect(
      once("trg_1", store, ({ token }) => {
        tokens.push(token);
        throw failure;
      }),
    ).rejects.toBe(failure);
    const again = await once("trg_1", store, ({ token }) => tokens.push(token));
    expect(again.kind).toBe("RAN");
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? Number.POSITIVE_INFINITY);
  });

  test("throws the error of the handler, also if the claim cannot be released", async () => {
    const broken = { ...store, release: () => Promise.reject(new Error("no connection")) };
    const failing = () => Promise.reject(new Error("mine"));
    await expect(once("trg_1", broken, failing, { clock, leaseMs: 1_000 })).rejects.toThrow("mine");
    expect(await once("trg_1", store, () => 1, { clock })).toMatchObject({ kind: "IN_PROGRESS" });
    await clock.advance(1_000);
    expect(await once("trg_1", store, () => 1, { clock })).toMatchObject({ kind: "RAN" });
  });

  test("renews its claim for as long as the handler runs", async () => {
    const { handler, contexts, resolve } = openHandler();
    const running = once("trg_1", store, handler, { clock, leaseMs: 3_000 });
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      expect(await once("trg_1", store, handler, { clock })).toMatchObject({ kind: "IN_PROGRESS" });
    }
    resolve("done");
    expect(await running).toEqual({ kind: "RAN", value: "done" });
    expect(contexts).toHaveLength(1);
  });

  test("lets the next attempt through after the lease when a process dies in its handler", async () => {
    const { handler } = openHandler();
    // A process that has died makes no more calls.
    const dead = { ...createFakeClock(), now: clock.now };
    void once("trg_1", store, handler, { clock: dead, leaseMs: 3_000 });
    await clock.advance(2_999);
    expect(await once("trg_1", store, () => 2, { clock })).toEqual({ kind: "IN_PROGRESS", retryAfterMs: 1 });
    await clock.advance(1);
    expect(await once("trg_1", store, () => 2, { clock })).toEqual({ kind: "RAN", value: 2 });
  });

  test("tells the handler that its claim is lost, and does not record what it did", async () => {
    const { handler, contexts, resolve } = openHandler();
    const standing = createFakeClock();
    const running = once("trg_1", store, handler, { clock: standing, leaseMs: 3_000 });
    await clock.advance(3_000);
    expect(await once("trg_1", store, () => "second", { clock })).toMatchObject({ kind: "RAN" });
    await standing.advance(1_000);
    expect(contexts[0]?.signal.reason).toBeInstanceOf(LostClaimError);
    resolve("first");
    await expect(running).rejects.toThrow(LostClaimError);
    expect(await once("trg_1", store, () => 3)).toEqual({ kind: "ALREADY_DONE", value: "second" });
  });

  test.each([
    ["fails", () => Promise.reject(new Error("no connection"))],
    ["does not answer", () => new Promise<never>(() => {})],
  ])("tells the handler when its lease ends because the store %s", async (_name, renew) => {
    const { handler, contexts, resolve } = openHandler();
    const claim: IdempotencyStore["claim"] = (id, request) =>
      request.token === undefined ? store.claim(id, request) : renew();
    const running = once("trg_1", { ...store, claim }, handler, { clock, leaseMs: 3_000 });
    await clock.advance(2_999);
    expect(contexts[0]?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(contexts[0]?.signal.aborted).toBe(true);
    // Nobody has claimed it since, so its work counts.
    resolve("done");
    expect(await running).toEqual({ kind: "RAN", value: "done" });
  });

  test("keeps its claim when one renewal fails and the next one succeeds", async () => {
    const { handler, contexts, resolve } = openHandler();
    let renewals = 0;
    const claim: IdempotencyStore["claim"] = (id, request) =>
      request.token !== undefined && ++renewals === 1
        ? Promise.reject(new Error("no connection"))
        : store.claim(id, request);
    const running = once("trg_1", { ...store, claim }, handler, { clock, leaseMs: 3_000 });
    await clock.advance(10_000);
    expect(contexts[0]?.signal.aborted).toBe(false);
    resolve("done");
    expect(await running).toMatchObject({ kind: "RAN" });
    expect(renewals).toBe(10);
  });

  test("gives up a handler that takes too long, and keeps its claim until the lease ends", async () => {
    const { handler, contexts } = openHandler();
    const running = once("trg_1", store, handler, { clock, leaseMs: 3_000, maxRunMs: 60_000 });
    const ended = expect(running).rejects.toThrow(HandlerTimeoutError);
    await clock.advance(59_999);
    expect(contexts[0]?.signal.aborted).toBe(false);
    await clock.advance(1);
    await ended;
    expect(contexts[0]?.signal.reason).toBeInstanceOf(HandlerTimeoutError);
    expect(await once("trg_1", store, () => 1, { clock })).toMatchObject({ kind: "IN_PROGRESS" });
    await clock.advance(3_000);
    expect(await once("trg_1", store, () => 1, { clock })).toMatchObject({ kind: "RAN" });
  });

  test.each([
    ["is not JSON", (): unknown => 1n],
    ["has 65537 characters", (): unknown => "x".repeat(65_535)],
  ])("counts a handler as done whose result %s, and says so", async (problem, handler) => {
    await expect(once("trg_1", store, handler, { clock })).rejects.toThrow(problem);
    expect(await once("trg_1", store, () => 1)).toEqual({ kind: "ALREADY_DONE", value: undefined });
  });

  test("throws what the store throws, and does not run the handler", async () => {
    const broken = { ...store, claim: () => Promise.reject(new Error("no connection")) };
    const handler = vi.fn();
    await expect(once("trg_1", broken, handler)).rejects.toThrow("no connection");
    expect(handler).not.toHaveBeenCalled();
  });

  test("refuses a store or a handler that is none, and runs nothing", async () => {
    const handler = vi.fn();
    await expect(once("a", new Map() as never, handler)).rejects.toThrow("The store has no methods");
    await expect(once("a", undefined as never, handler)).rejects.toThrow("The store has no methods");
    await expect(once("a", store, undefined as never)).rejects.toThrow("The handler is undefined");
    await expect(once(undefined as never, store, handler)).rejects.toThrow("The id is undefined");
    expect(handler).not.toHaveBeenCalled();
  });

  test("refuses an id, a lease or a time limit that cannot be right", async () => {
    const start = (id: string, options = {}) => once(id, store, () => 1, options);
    await expect(start("")).rejects.toThrow(RangeError);
    await expect(start("x".repeat(257))).rejects.toThrow(RangeError);
    await expect(once({ trigger: undefined } as never, store, () => 1)).rejects.toThrow(
      "The id is undefined",
    );
    for (const leaseMs of [99, 86_400_001, Number.NaN]) {
      await expect(start("a", { leaseMs })).rejects.toThrow("leaseMs");
    }
    for (const maxRunMs of [0, 2 ** 31, Number.NaN]) {
      await expect(start("a", { maxRunMs })).rejects.toThrow("maxRunMs");
    }
  });
});
