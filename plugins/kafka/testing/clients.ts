import { randomBytes } from "node:crypto";
import { type Admin, Kafka, logLevel, Partitioners, type Producer } from "kafkajs";
import type { SharedKafka } from "../../../test/support/kafka.ts";

/** A message as a consumer sees it. */
export interface Seen {
  readonly partition: number;
  readonly offset: string;
  readonly key: string | undefined;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Makes a client of kafkajs that repeats nothing and is silent. */
export function createClient({ brokers, username, password }: SharedKafka): Kafka {
  return new Kafka({
    clientId: "test",
    brokers: brokers.split(","),
    sasl: { mechanism: "scram-sha-512", username, password },
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  });
}

/** Runs work with an administrator's client. */
export async function withAdmin<T>(kafka: SharedKafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createClient(kafka).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Connects a producer. */
export async function connectProducer(kafka: SharedKafka): Promise<Producer> {
  const producer = createClient(kafka).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { retries: 0 },
  });
  await producer.connect();
  return producer;
}

/** Reads all messages that a topic has now, in the order of each partition. */
export async function readTopic(kafka: SharedKafka, topic: string): Promise<Seen[]> {
  const ends = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
  const left = new Map(ends.filter(({ offset, low }) => offset !== low).map((end) => [end.partition, end]));
  const seen: Seen[] = [];
  if (left.size === 0) return seen;
  const groupId = `${topic.split(".")[0]}.test-${randomBytes(4).toString("hex")}`;
  const consumer = createClient(kafka).consumer({ groupId, maxWaitTimeInMs: 100, retry: { retries: 10 } });
  const done = Promise.withResolvers<void>();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        seen.push({
          partition,
          offset: message.offset,
          key: message.key?.toString(),
          value: message.value?.toString() ?? "",
          headers: Object.fromEntries(
            Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
          ),
        });
        const end = left.get(partition);
        if (end !== undefined && BigInt(message.offset) + 1n >= BigInt(end.offset)) left.delete(partition);
        if (left.size === 0) done.resolve();
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return seen;
}
