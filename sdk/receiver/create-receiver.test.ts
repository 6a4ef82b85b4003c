import { createServer } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createFakeClock, type FakeClock } from "../fakes/fake-clock.ts";
import { createFakeDispatcher } from "../fakes/fake-dispatcher.ts";
import { type SignTriggerOptions, signTrigger, TEST_SECRET } from "../fakes/sign-trigger.ts";
import { memoryStore } from "../idempotency/memory-store.ts";
import { describeAdapter, listen, oddTrigger } from "../testing/adapter-suite.ts";
import { createReceiver } from "./create-receiver.ts";
import type { ReceiverOptions } from "./receiver.ts";
import { RefuseTriggerError, TryAgainError } from "./receiver-error.ts";

describeAdapter("Node's http", (receiver) => listen(createServer(receiver.node)));

let clock: FakeClock;
const onError = vi.fn();
beforeEach(() => {
  clock = createFakeClock();
  onError.mockClear();
});

function create(options: Partial<ReceiverOptions> = {}) {
  return createReceiver({ secrets: TEST_SECRET, onTrigger: () => undefined, onError, clock, ...options });
}

const request = (options: SignTriggerOptions = {}) => signTrigger({ now: clock.now(), ...options }).request();

describe("a receiver", () => {
  test("tells the handler the trigger, its id, and when this attempt was sent", async () => {
    const onTrigger = vi.fn();
    const { id, trigger } = signTrigger({ now: clock.now(), job: "payroll" });
    expect((await create({ onTrigger }).fetch(request({ job: "payroll" }))).status).toBe(204);
    expect(onTrigger).toHaveBeenCalledExactlyOnceWith(trigger, {
      id,
      timestamp: clock.now(),
      token: 0,
      signal: expect.any(AbortSignal),
      client: undefined,
    });
    expect(onError).not.toHaveBeenCalled();
  });

  test("answers a copy with the first result, and does not call the handler again", async () => {
    const onTrigger = vi.fn(() => ({ paid: 42 }));
    const receiver = create({ onTrigger, store: memoryStore({ clock }) });
    const first = await receiver.fetch(request());
    expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([200, null]);
    const second = await receiver.fetch(request({ attempt: 2 }));
    expect([second.status, second.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect(await second.json()).toEqual({ paid: 42 });
    expect(onTrigger).toHaveBeenCalledTimes(1);
  });

  test("answers 409 with Retry-After to the second of two deliveries at once", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const receiver = create({ onTrigger: () => promise, store: memoryStore({ clock }), leaseMs: 4_001 });
    const first = receiver.fetch(request());
    const second = await receiver.fetch(request());
    expect([second.status, second.headers.get("retry-after")]).toEqual([409, "5"]);
    expect(onError).not.toHaveBeenCalled();
    resolve();
    expect((await first).status).toBe(204);
  });

  test("hands the handler the token of the store, and a client if the store has transactions", async () => {
    const contexts: unknown[] = [];
    const onTrigger = (_: unknown, context: unknown) => void contexts.push(context);
    await create({ onTrigger, store: memoryStore({ clock }) }).fetch(request());
    const store = {
      run: async (_id: string, work: (claim: { token: number; client: string }) => Promise<string>) => {
        await work({ token: 7, client: "a connection" });
        return { kind: "RAN" } as const;
      },
    };
    const receiver = createReceiver({ secrets: TEST_SECRET, store, clock, onTrigger });
    expect((await receiver.fetch(request())).status).toBe(204);
    expect(contexts).toMatchObject([
      { token: 1, client: undefined },
      { token: 7, client: "a connection", timestamp: clock.now() },
    ]);
  });

  test("refuses a trigger for good when the handler says so", async () => {
    const onTrigger = () => {
      throw new RefuseTriggerError("There is no company 42.");
    };
    const response = await create({ onTrigger, store: memoryStore({ clock }) }).fetch(request());
    expect([response.status, response.headers.get("webhook-delivery")]).toEqual([422, "abort-message"]);
    expect(await response.text()).toBe("There is no company 42.\n");
    expect(onError).toHaveBeenCalledOnce();
    expect(() => new RefuseTriggerError("", { status: 500 })).toThrow(RangeError);
  });

  test("asks for another attempt later when the handler says so", async () => {
    const onTrigger = () => {
      throw new TryAgainError("The bank is closed.", { retryAfterMs: 90_000 });
    };
    const response = await create({ onTrigger }).fetch(request());
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "90"]);
    expect(await response.text()).toBe("The bank is closed.\n");
    expect(() => new TryAgainError("", { retryAfterMs: -1 })).toThrow(RangeError);
  });

  test("answers 500 when the handler throws, logs the error, and shows it to nobody", async () => {
    const failure = new Error("password=secret");
    const { id } = signTrigger({ now: clock.now() });
    const response = await create({ onTrigger: () => Promise.reject(failure) }).fetch(request());
    expect(response.status).toBe(500);
    expect(response.headers.get("webhook-delivery")).toBeNull();
    expect(await response.text()).not.toContain("secret");
    expect(onError).toHaveBeenCalledExactlyOnceWith(failure, { id });
  });

  test("answers 500 when the store fails, and does not call the handler", async () => {
    const onTrigger = vi.fn();
    const store = { ...memoryStore(), claim: () => Promise.reject(new Error("no connection")) };
    expect((await create({ onTrigger, store }).fetch(request())).status).toBe(500);
    expect(onTrigger).not.toHaveBeenCalled();
  });

  test("answers 500 when the handler takes too long, and aborts its signal", async () => {
    let signal: AbortSignal | undefined;
    const onTrigger: ReceiverOptions["onTrigger"] = (_, context) => {
      signal = context.signal;
      return new Promise(() => {});
    };
    const pending = create({ onTrigger, maxRunMs: 1_000 }).fetch(request());
    await clock.advance(1_000);
    expect((await pending).status).toBe(500);
    expect(signal?.aborted).toBe(true);
  });

  test.each([
    ["another secret", { secret: "whsec_AAAA" }, {}, 400, "SIGNATURE_MISMATCH"],
    ["an old timestamp", { now: new Date(0) }, {}, 400, "TIMESTAMP_TOO_OLD"],
    ["no secret of its own", {}, { secrets: undefined }, 500, "SECRET_MALFORMED"],
    ["a secret of its own that is no secret", {}, { secrets: ["a b"] }, 500, "SECRET_MALFORMED"],
  ])(
    "answers a request with %s so that it is tried again",
    async (_name, signed, options, status, reason) => {
      const onTrigger = vi.fn();
      const response = await create({ onTrigger, ...options }).fetch(request(signed));
      expect([response.status, response.headers.get("webhook-delivery")]).toEqual([status, null]);
      expect(await response.text()).toContain(reason);
      expect(onTrigger).not.toHaveBeenCalled();
      expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ reason }), { id: undefined });
    },
  );

  test("accepts a clock that differs by as much as it is told to", async () => {
    const old = { now: new Date(clock.now().getTime() - 400_000) };
    expect((await create().fetch(request(old))).status).toBe(400);
    expect((await create({ toleranceSeconds: 400 }).fetch(request(old))).status).toBe(204);
  });

  test("gives other signed webhooks to onOther, and refuses them for good without it", async () => {
    const other = () => request({ kind: 7 as never });
    const refused = await create().fetch(other());
    expect([refused.status, refused.headers.get("webhook-delivery")]).toEqual([422, "abort-message"]);
    const onOther = vi.fn(() => "thanks");
    expect(await (await create({ onOther }).fetch(other())).json()).toBe("thanks");
    expect(onOther).toHaveBeenCalledWith(expect.objectContaining({ trigger: undefined }));
  });

  test("answers also when onError throws, and logs both errors", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const failure = new Error("the logger failed");
    const receiver = create({
      onTrigger: () => Promise.reject(new Error("first")),
      onError: () => {
        throw failure;
      },
    });
    expect((await receiver.fetch(request())).status).toBe(500);
    expect(log).toHaveBeenCalledTimes(2);
    log.mockRestore();
  });

  test("answers also when onError is asynchronous and rejects", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const receiver = create({
      onTrigger: () => Promise.reject(new Error("first")),
      onError: async () => Promise.reject(new Error("the logger failed")),
    });
    expect((await receiver.fetch(request())).status).toBe(500);
    await vi.waitFor(() => expect(log).toHaveBeenCalledTimes(2), 15_000);
    log.mockRestore();
  });

  test("refuses a Response as a result, which would count as done whatever its status is", async () => {
    const onTrigger = vi.fn((): unknown => new Response("no", { status: 503 }));
    const receiver = create({ onTrigger, store: memoryStore({ clock }) });
    expect((await receiver.fetch(request())).status).toBe(500);
    expect(onError).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ message: expect.stringContaining("returned a Response") }),
      expect.anything(),
    );
    onTrigger.mockReturnValue({ paid: 42 });
    expect((await receiver.fetch(request())).status).toBe(200);
    expect((await create({ onTrigger: () => new Response() }).fetch(request())).status).toBe(500);
  });

  test("knows the errors of another copy of the package", async () => {
    const refuse = Object.assign(new Error("no"), { name: "RefuseTriggerError", status: 410 });
    const later = Object.assign(new Error("later"), { name: "TryAgainError", retryAfterMs: 2_000 });
    const refused = await create({ onTrigger: () => Promise.reject(refuse) }).fetch(request());
    expect(refused.status).toBe(410);
    const delayed = await create({ onTrigger: () => Promise.reject(later) }).fetch(request());
    expect([delayed.status, delayed.headers.get("retry-after")]).toEqual([503, "2"]);
  });

  test("ends a handler of other webhooks that takes too long", async () => {
    const onOther = () => new Promise(() => {});
    const pending = create({ onOther, maxRunMs: 1_000 }).fetch(request({ kind: 7 as never }));
    await clock.advance(1_000);
    expect((await pending).status).toBe(500);
  });

  test.each<[string, unknown, string]>([
    ["no options", undefined, "createReceiver({ secrets, onTrigger })"],
    ["no onTrigger", {}, "onTrigger is undefined"],
    ["a misspelt option", { onTrigger: () => {}, secret: TEST_SECRET }, "secret is not an option"],
    ["a store that is none", { onTrigger: () => {}, store: new Map() }, "The store has no methods"],
    ["a limit as text", { onTrigger: () => {}, maxBodyBytes: "1mb" }, "maxBodyBytes is 1mb"],
    ["a lease that is too short", { onTrigger: () => {}, leaseMs: 30 }, "leaseMs is 30"],
    [
      "a tolerance that is none",
      { onTrigger: () => {}, toleranceSeconds: Number.NaN },
      "toleranceSeconds is NaN",
    ],
    ["a logger that is none", { onTrigger: () => {}, onError: "console" }, "onError is string"],
  ])("is not made with %s", (_name, options, message) => {
    expect(() => createReceiver(options as ReceiverOptions)).toThrow(message);
  });

  test("answers 405 to other methods, and names the one it accepts", async () => {
    const response = await create().fetch(new Request("http://localhost/"));
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("answers 413 to a body of unknown length as soon as it is too large", async () => {
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(1_000));
        if (++pulls === 1_000) controller.close();
      },
    });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const response = await create({ maxBodyBytes: 10_000 }).fetch(new Request("http://localhost/", init));
    expect(response.status).toBe(413);
    expect(pulls).toBeLessThan(15);
  });

  test("answers 408 to a body that does not come in time", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from("{")),
    });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const pending = create({ bodyTimeoutMs: 2_000 }).fetch(new Request("http://localhost/", init));
    await clock.advance(2_000);
    expect((await pending).status).toBe(408);
  });
});

describe("a receiver in Node", () => {
  let stop = async () => {};
  afterEach(() => stop());

  test("sends nothing when a middleware has answered meanwhile", async () => {
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const receiver = createReceiver({ secrets: TEST_SECRET, onError, onTrigger: () => answered });
    const results: Promise<void>[] = [];
    const server = createServer((incoming, response) => {
      results.push(receiver.node(incoming, response));
      response.writeHead(503).end();
    });
    const mounted = await listen(server);
    stop = mounted.stop;
    expect((await mounted.call(oddTrigger())).status).toBe(503);
    resolve();
    await expect(Promise.all(results)).resolves.toEqual([undefined]);
  });

  test("answers 408 to a sender that stops in the middle of the body", async () => {
    const server = createServer(create({ bodyTimeoutMs: 2_000 }).node);
    const mounted = await listen(server);
    stop = mounted.stop;
    const address = server.address();
    const begun = new Promise((done) => void server.once("request", done));
    const socket = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
    let answer = "";
    socket.on("data", (text: Buffer) => {
      answer += text;
    });
    const closed = new Promise((done) => void socket.once("close", done));
    socket.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{");
    await begun;
    await clock.advance(2_000);
    await closed;
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  test("uses the bytes that a platform has kept beside the parsed body", async () => {
    const receiver = create({ clock: undefined });
    const { call, stop: end } = await listen(
      createServer(async (incoming, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of incoming) chunks.push(chunk);
        const rawBody = Buffer.concat(chunks);
        await receiver.node(
          Object.assign(incoming, { rawBody, body: JSON.parse(rawBody.toString()) }),
          response,
        );
      }),
    );
    stop = end;
    expect((await call(oddTrigger())).status).toBe(204);
  });
});

test("a handler that fails twice is called three times under one id, and then never again", async () => {
  const calls: number[] = [];
  const store = memoryStore({ clock });
  const receiver = create({
    store,
    onTrigger: ({ attempt }) => {
      calls.push(attempt);
      if (calls.length < 3) throw new TryAgainError("Later.", { retryAfterMs: 60_000 });
    },
  });
  const dispatcher = createFakeDispatcher({ receiver, clock });
  const { state, attempts } = await dispatcher.deliver({
    job: "payroll",
    nominalTime: "2027-01-01T00:00:00Z",
  });
  expect([state, attempts.map(({ status }) => status)]).toEqual(["SUCCEEDED", [503, 503, 204]]);
  const again = await dispatcher.deliver({ job: "payroll", nominalTime: "2027-01-01T00:00:00Z" });
  expect(again.attempts).toMatchObject([
    { number: 1, status: 204, headers: { "idempotent-replayed": "true" } },
  ]);
  expect(calls).toEqual([1, 2, 3]);
});
