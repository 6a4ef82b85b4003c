import { randomUUID } from "node:crypto";
import { type Consumer, Kafka, logLevel, Partitioners, type Producer } from "kafkajs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { memoryStore } from "../idempotency/memory-store.ts";
import { messageParts, SECRET, toBinary, toStructured } from "../testing/messages.ts";
import { type EachTriggerOptions, eachTrigger } from "./each-trigger.ts";

const isThere = await hasKafka();
let kafka: Kafka;
let producer: Producer;

beforeAll(async () => {
  if (!isThere) return;
  const { brokers, username, password } = await joinKafka();
  kafka = new Kafka({
    brokers: brokers.split(","),
    sasl: { mechanism: "scram-sha-512", username, password },
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, retries: 8 },
  });
  producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
});
afterAll(() => producer?.disconnect());

async function createTopic(): Promise<string> {
  const topic = `proj_sdk.${randomUUID()}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  return topic;
}

/** Runs a consumer with `eachTrigger` until `isDone` of what it has seen. Returns the offset that it has committed. */
async function consume(
  topic: string,
  options: Partial<EachTriggerOptions> & { readonly isDone: (seen: readonly number[]) => boolean },
) {
  const groupId = `proj_sdk.${topic}`;
  const consumer: Consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50 });
  onTestFinished(() => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen: number[] = [];
  const done = Promise.withResolvers<void>();
  const eachMessage = eachTrigger({
    secrets: SECRET,
    ...options,
    onTrigger: async (trigger, received) => {
      seen.push(trigger.seq);
      await options.onTrigger?.(trigger, received);
      if (options.isDone(seen)) done.resolve();
    },
  });
  await consumer.run({ eachMessage });
  await done.promise;
  // Commits what has succeeded, and nothing else.
  await consumer.stop();
  const admin = kafka.admin();
  await admin.connect();
  const [group] = await admin.fetchOffsets({ groupId, topics: [topic] });
  await admin.disconnect();
  return { seen, committed: group?.partitions[0]?.offset };
}

describe.runIf(isThere)("a kafkajs consumer with eachTrigger", () => {
  test("gets the triggers of both modes, and commits them", async () => {
    const topic = await createTopic();
    const messages = [toBinary(messageParts(1)), toStructured(messageParts(2))];
    await producer.send({ topic, messages });
    const places: unknown[] = [];
    const { seen, committed } = await consume(topic, {
      onTrigger: (_, { partition, offset, id }) => places.push([partition, offset, id]),
      isDone: ({ length }) => length === 2,
    });
    expect(seen).toEqual([1, 2]);
    expect(committed).toBe("2");
    expect(places).toEqual([
      [0, "0", messageParts(1).attributes.id],
      [0, "1", messageParts(2).attributes.id],
    ]);
  });

  test("gets a trigger again whose handler failed, before those behind it", async () => {
    const topic = await createTopic();
    await producer.send({ topic, messages: [1, 2, 3].map((seq) => toBinary(messageParts(seq))) });
    let failures = 0;
    const { seen, committed } = await consume(topic, {
      onTrigger: ({ seq }) => {
        if (seq === 2 && ++failures < 3) throw new Error("no room");
      },
      isDone: (all) => all.includes(3),
    });
    expect(seen).toEqual([1, 2, 2, 2, 3]);
    expect(committed).toBe("3");
  });

  test("skips what EasyCron did not write, if it is told to", async () => {
    const topic = await createTopic();
    const forged = { ...toBinary(messageParts(1)), value: Buffer.from(messageParts(9).data) };
    await producer.send({ topic, messages: [{ value: "mine" }, forged, toBinary(messageParts(2))] });
    const skipped: unknown[] = [];
    const { seen, committed } = await consume(topic, {
      refused: "skip",
      onSkipped: (error, { offset }) => skipped.push([(error as { reason: string }).reason, offset]),
      isDone: ({ length }) => length === 1,
    });
    expect(seen).toEqual([2]);
    expect(committed).toBe("3");
    expect(skipped).toEqual([
      ["FIELD_MISSING", "0"],
      ["SIGNATURE_MISMATCH", "1"],
    ]);
  });
});

function delivery(heartbeat = () => Promise.resolve()) {
  return { topic: "t", partition: 0, message: { ...toBinary(messageParts(1)), offset: "5" }, heartbeat };
}

test("eachTrigger throws what is wrong with a message, unless it is told to skip it", async () => {
  const eachMessage = eachTrigger({
    secrets: `whsec_${Buffer.alloc(32).toString("base64")}`,
    onTrigger: () => {},
  });
  await expect(eachMessage(delivery())).rejects.toMatchObject({ reason: "SIGNATURE_MISMATCH" });
});

test("eachTrigger sends heartbeats while a handler runs, and none afterwards", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const release = Promise.withResolvers<void>();
  const heartbeat = vi.fn().mockRejectedValue(new Error("The group is rebalancing"));
  const eachMessage = eachTrigger({ secrets: SECRET, onTrigger: () => release.promise });
  const handled = eachMessage(delivery(heartbeat));
  await vi.advanceTimersByTimeAsync(9_000);
  expect(heartbeat).toHaveBeenCalledTimes(3);
  release.resolve();
  await handled;
  await vi.advanceTimersByTimeAsync(9_000);
  expect(heartbeat).toHaveBeenCalledTimes(3);
});

test("eachTrigger waits for the consumer that works on the same trigger, and then skips it", async () => {
  const store = memoryStore();
  const release = Promise.withResolvers<void>();
  let calls = 0;
  const onTrigger = () => {
    calls += 1;
    return release.promise;
  };
  const options = { secrets: SECRET, store, onTrigger };
  const [first, second, other] = ["g", "g", "h"].map((groupId) =>
    eachTrigger({ ...options, groupId, leaseMs: 100 })(delivery()),
  );
  release.resolve();
  await Promise.all([first, second, other]);
  expect(calls).toBe(2);
});

test("eachTrigger refuses a store without the id of the group", () => {
  expect(() => eachTrigger({ secrets: SECRET, store: memoryStore(), onTrigger: () => {} })).toThrow(
    "no groupId",
  );
});

test("eachTrigger refuses a secret that is none before it gets a message", () => {
  expect(() => eachTrigger({ secrets: "", onTrigger: () => {} })).toThrow("A secret must be");
});
