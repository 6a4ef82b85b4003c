import { Admin, type Connection, fetchV17, type KafkaRecord as PlainRecord } from "@platformatic/kafka";
import { Kafka, type Admin as KafkaJsAdmin, logLevel, Partitioners, type Producer } from "kafkajs";
import type { SharedKafka } from "../../../test/support/kafka.ts";

/** A message as a consumer sees it. */
export interface Seen {
  readonly partition: number;
  readonly offset: number;
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
export async function withAdmin<T>(
  kafka: SharedKafka,
  work: (admin: KafkaJsAdmin) => Promise<T>,
): Promise<T> {
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
  const { brokers, username, password } = kafka;
  const sasl = { mechanism: "SCRAM-SHA-512" as const, username, password };
  const client = new Admin({ clientId: "test", bootstrapBrokers: brokers.split(","), sasl, retries: 0 });
  try {
    const metadata = await client.metadata({ topics: [topic] });
    const { id: topicId = "", partitionsCount = 0 } = metadata.topics.get(topic) ?? {};
    const [connection] = (await client.connectToBrokers()).values();
    if (connection === undefined) throw new Error("There is no broker.");
    const partitions = Array.from({ length: partitionsCount }, (_, index) => index);
    const seen = await Promise.all(partitions.map((index) => readPartition(connection, topicId, index)));
    return seen.flat();
  } finally {
    await client.close();
  }
}

const MAX_BYTES = 10_000_000;

async function readPartition(connection: Connection, topicId: string, partition: number): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let fetchOffset = 0n; ; ) {
    const position = { partition, fetchOffset, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
    const topics = [{ topicId, partitions: [{ ...position, partitionMaxBytes: MAX_BYTES }] }];
    const answer = await fetchV17.api.async(connection, 0, 0, MAX_BYTES, 0, 0, -1, topics, [], "");
    const found = answer.responses[0]?.partitions[0];
    for (const { firstOffset, records } of found?.records ?? []) {
      for (const record of records) {
        const offset = firstOffset + BigInt(record.offsetDelta);
        if (offset >= fetchOffset) seen.push(toSeen(partition, offset, record));
        if (offset >= fetchOffset) fetchOffset = offset + 1n;
      }
    }
    if (fetchOffset >= (found?.highWatermark ?? 0n)) return seen;
  }
}

function toSeen(partition: number, offset: bigint, { key, value, headers }: PlainRecord): Seen {
  return {
    partition,
    offset: Number(offset),
    key: key?.toString(),
    value: value?.toString() ?? "",
    headers: Object.fromEntries(headers.map(([name, text]) => [String(name), String(text)])),
  };
}
