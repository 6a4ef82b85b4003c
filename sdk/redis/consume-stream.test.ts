import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { memoryStore } from "../idempotency/memory-store.ts";
import { messageParts, SECRET, toFields } from "../testing/messages.ts";
import { send } from "./client.ts";
import { consumeStream } from "./consume-stream.ts";
import type { ConsumeStreamOptions } from "./stream-options.ts";

const CLAIM_AFTER_MS = 1_000;
// The rights of a project: its trigger streams can be consumed, and not written.
const RULE =
  "resetchannels -@all +ping +echo +command +client|setname +select " +
  "(~proj_a:* +xread +xreadgroup +xack +xclaim +xautoclaim +xpending +xrange +xlen +xinfo +xgroup|create)";

let server: TestRedis;
let admin: Redis;
let redis: Redis;
let stream: string;
let count = 0;

beforeAll(async () => {
  if (!hasRedis()) return;
  server = await startTestRedis();
  admin = new Redis(server.url);
  admin.on("error", () => {});
  const hash = createHash("sha256").update("secret").digest("hex");
  await putUser(hash);
});
afterAll(async () => {
  if (!hasRedis()) return;
  admin.disconnect();
  await server.stop();
});
beforeEach(() => {
  count += 1;
  stream = `proj_a:orders-${count}`;
  redis = connect();
});

async function putUser(hash: string): Promise<void> {
  const selector = RULE.slice(RULE.indexOf("("));
  const rules = RULE.slice(0, RULE.indexOf("(")).trim().split(" ");
  await admin.call("ACL", "SETUSER", "proj_a-1", "reset", "on", `#${hash}`, ...rules, selector);
}

function connect(): Redis {
  const client = new Redis({
    port: server.port,
    username: "proj_a-1",
    password: "secret",
    enableReadyCheck: false,
  });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** Writes triggers as the plugin does. Returns the ids of the entries. */
async function write(...numbers: readonly number[]): Promise<string[]> {
  const answers = numbers.map((number) => admin.xadd(stream, "*", ...toFields(messageParts(number))));
  return (await Promise.all(answers)).map(String);
}

/** Starts a consumer. It stops at the end of the test at the latest. */
function start(options: Partial<ConsumeStreamOptions> = {}) {
  const stop = new AbortController();
  const errors: unknown[] = [];
  const seen: number[] = [];
  const listeners = new Set<() => void>();
  const look = () => {
    for (const listener of listeners) listener();
  };
  const until = (isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = () => isSo() && resolve();
      listeners.add(check);
      check();
    });
  const { onTrigger } = options;
  const ended = consumeStream({
    redis,
    stream,
    group: "g",
    consumer: "c1",
    secrets: SECRET,
    claimAfterMs: CLAIM_AFTER_MS,
    signal: stop.signal,
    ...options,
    onTrigger: async (trigger, received) => {
      await onTrigger?.(trigger, received);
      seen.push(trigger.seq);
      look();
    },
    onError: (error, entryId) => {
      errors.push(error);
      options.onError?.(error, entryId);
      look();
    },
  });
  ended.catch(() => {});
  onTestFinished(async () => {
    stop.abort();
    await ended.catch(() => {});
  });
  return { stop, ended, errors, seen, until, look };
}

/** How many entries are not acknowledged. */
async function pending(): Promise<number> {
  const [number] = (await admin.xpending(stream, "g")) as [number];
  return number;
}

async function untilPending(number: number): Promise<void> {
  while ((await pending()) !== number) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Reads entries as a consumer that then dies. */
async function readAndDie(consumer: string): Promise<void> {
  await admin.xgroup("CREATE", stream, "g", "0", "MKSTREAM").catch(() => {});
  await admin.xreadgroup("GROUP", "g", consumer, "COUNT", 10, "STREAMS", stream, ">");
}

describe.runIf(hasRedis())("consumeStream", () => {
  test("makes the group, gives each trigger to the handler and acknowledges it", async () => {
    const consumer = start();
    await untilGroup();
    const ids = await write(1, 2, 3);
    await consumer.until(() => consumer.seen.length === 3);
    await untilPending(0);
    expect(consumer.seen.toSorted()).toEqual([1, 2, 3]);
    expect(ids).toHaveLength(3);
    consumer.stop.abort();
    await consumer.ended;
    expect(consumer.errors).toEqual([]);
  });

  test("begins with the oldest entry, or with those to come, as asked", async () => {
    await write(1);
    const oldest = start();
    const fresh = start({ group: "h", from: "new" });
    await untilGroup("h");
    await write(2);
    await Promise.all([
      oldest.until(() => oldest.seen.length === 2),
      fresh.until(() => fresh.seen.length === 1),
    ]);
    expect([oldest.seen.toSorted(), fresh.seen]).toEqual([[1, 2], [2]]);
  });

  test("works on no more triggers at once than it may", async () => {
    let now = 0;
    let most = 0;
    await write(...Array.from({ length: 30 }, (_, at) => at));
    const onTrigger = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    };
    const consumer = start({ concurrency: 3, onTrigger });
    await consumer.until(() => consumer.seen.length === 30);
    expect(most).toBe(3);
  });

  test("waits for its handlers when it is stopped, and takes no further entry", async () => {
    const release = Promise.withResolvers<void>();
    const consumer = start({ concurrency: 1, onTrigger: () => release.promise });
    await write(1, 2);
    await untilGroup();
    await untilPending(1);
    consumer.stop.abort();
    let hasEnded = false;
    void consumer.ended.then(() => {
      hasEnded = true;
    });
    await admin.ping();
    expect(hasEnded).toBe(false);
    release.resolve();
    await consumer.ended;
    expect(consumer.seen).toEqual([1]);
    expect(await pending()).toBe(0);
  });

  test("says how many handlers have not ended in time when it is stopped", async () => {
    const release = Promise.withResolvers<void>();
    const consumer = start({ onTrigger: () => release.promise, stopWithinMs: 10 });
    await write(1);
    await untilGroup();
    await untilPending(1);
    consumer.stop.abort();
    await consumer.ended;
    expect(String(consumer.errors[0])).toContain("1 handlers still work 10 ms after the stop");
    release.resolve();
  });

  test("goes on with its own entries at once when it is started again", async () => {
    await write(1, 2);
    await readAndDie("c1");
    const consumer = start({ claimAfterMs: 600_000 });
    await consumer.until(() => consumer.seen.length === 2);
    await untilPending(0);
  });

  test("takes over the entries of a consumer that has died", async () => {
    await write(1, 2);
    await readAndDie("dead");
    const consumer = start();
    await consumer.until(() => consumer.seen.length === 2);
    await untilPending(0);
  });

  test("gives the entry of a handler that failed to a handler again", async () => {
    let calls = 0;
    const onTrigger = () => {
      calls += 1;
      if (calls === 1) throw new Error("no room");
    };
    const consumer = start({ onTrigger });
    const [id] = await write(1);
    await consumer.until(() => consumer.seen.length === 1);
    await untilPending(0);
    expect(consumer.errors).toEqual([new Error("no room")]);
    expect(id).toBeDefined();
  });

  test("keeps an entry from other consumers while its handler runs", async () => {
    const release = Promise.withResolvers<void>();
    const slow = start({ onTrigger: () => release.promise });
    await write(1);
    await untilGroup();
    await untilPending(1);
    const other = start({ consumer: "c2", redis: connect() });
    let renewals = 0;
    for (let lastIdleMs = 0; renewals < 4; ) {
      const [[, owner, idleMs] = []] = (await admin.xpending(stream, "g", "-", "+", 1)) as [
        string,
        string,
        number,
      ][];
      expect(owner).toBe("c1");
      if (idleMs !== undefined && idleMs < lastIdleMs) renewals += 1;
      lastIdleMs = idleMs ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    release.resolve();
    await slow.until(() => slow.seen.length === 1);
    expect(other.seen).toEqual([]);
  });

  test.each(["leave", "acknowledge"] as const)(
    "reports an entry with a wrong signature, and can %s it",
    async (refused) => {
      const entryIds: unknown[] = [];
      const consumer = start({ refused, onError: (_, entryId) => entryIds.push(entryId) });
      const fields = toFields({ ...messageParts(1), data: messageParts(2).data });
      const id = await admin.xadd(stream, "*", ...fields);
      await write(3);
      await consumer.until(() => consumer.errors.length === 1 && consumer.seen.length === 1);
      await untilPending(refused === "leave" ? 1 : 0);
      expect(consumer.errors[0]).toMatchObject({ reason: "SIGNATURE_MISMATCH" });
      expect(entryIds).toEqual([id]);
    },
  );

  test("gives a trigger to the handlers of each group once if there is a store", async () => {
    const store = memoryStore();
    await write(1, 1, 2);
    const consumers = [start({ store }), start({ store, group: "h", redis: connect() })];
    await Promise.all(
      ["g", "h"].map(async (group) => {
        await untilGroup(group);
        while (!(await isDone(group))) await new Promise((resolve) => setTimeout(resolve, 5));
      }),
    );
    expect(consumers.map(({ seen }) => seen.toSorted())).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test("reports an entry that the stream removed before it was acknowledged", async () => {
    const [id] = await write(1);
    await readAndDie("dead");
    await readAndDie("c1");
    await admin.xtrim(stream, "MAXLEN", 0);
    const consumer = start();
    await consumer.until(() => consumer.errors.length === 1);
    await untilPending(0);
    expect(String(consumer.errors[0])).toContain(`The stream removed the entry ${id}`);
  });

  test("goes on when its connections are cut and when the group has vanished", async () => {
    const consumer = start();
    await write(1);
    await consumer.until(() => consumer.seen.length === 1);
    await admin.client("KILL", "USER", "proj_a-1");
    await write(2);
    await consumer.until(() => consumer.seen.includes(2));
    await admin.xgroup("DESTROY", stream, "g");
    await write(3);
    await consumer.until(() => consumer.seen.includes(3));
    expect(consumer.errors.length).toBeGreaterThan(0);
  });

  test("loses nothing when the server is killed and started again", async () => {
    const consumer = start();
    await write(1, 2);
    await consumer.until(() => consumer.seen.length === 2);
    const isAway = new Promise((resolve) => redis.once("close", resolve));
    await server.kill9();
    await isAway;
    await server.start();
    // Redis forgets its users. Until somebody makes them again, the credentials are refused.
    await consumer.until(() => consumer.errors.some((error) => /WRONGPASS|NOAUTH/.test(String(error))));
    await putUser(createHash("sha256").update("secret").digest("hex"));
    await write(3, 4);
    await consumer.until(() => consumer.seen.includes(3) && consumer.seen.includes(4));
    await untilPending(0);
  });

  test.each([
    ["another project's stream", "NOPERM", () => "proj_b:orders"],
    ["a key that is a list", "WRONGTYPE", () => "proj_a:list"],
  ])("rejects for %s", async (_, code, name) => {
    await admin.rpush("proj_a:list", "x");
    await expect(start({ stream: name() }).ended).rejects.toThrow(code);
  });

  test.each<[Partial<ConsumeStreamOptions>, string]>([
    [{ concurrency: 0 }, "concurrency is 0; it must be a whole number from 1 to 1000."],
    [{ claimAfterMs: 10 }, "claimAfterMs is 10"],
    [{ stopWithinMs: -1 }, "stopWithinMs is -1"],
    [{ secrets: "whsec_?" }, "A secret must be"],
    [{ secrets: undefined }, "A secret is undefined"],
  ])("rejects for %j", async (options, message) => {
    await expect(start(options).ended).rejects.toThrow(message);
  });

  /** Whether a group has read and acknowledged all entries. */
  async function isDone(group: string): Promise<boolean> {
    const groups = (await admin.xinfo("GROUPS", stream)) as unknown[][];
    const info = groups.find((each) => each[1] === group) ?? [];
    const numberOf = (name: string) => info[info.indexOf(name) + 1];
    return numberOf("pending") === 0 && numberOf("lag") === 0;
  }

  async function untilGroup(group = "g"): Promise<void> {
    for (;;) {
      const groups = (await admin.xinfo("GROUPS", stream).catch(() => [])) as unknown[];
      if (groups.flat().includes(group)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
});

test("a command that Redis never answers fails in time", async () => {
  const never = new Promise<never>(() => {});
  const client = { call: () => never, duplicate: () => client, disconnect: () => {}, on: () => {} };
  await expect(send(client, 10, "XACK")).rejects.toThrow("Redis has not answered XACK within 10 ms");
});
