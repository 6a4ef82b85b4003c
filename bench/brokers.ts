import { Redis } from "ioredis";
import { Kafka, type Message as KafkaMessage, logLevel } from "kafkajs";
import type { Message } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { toRecord } from "../plugins/kafka/record.ts";
import { toFields } from "../plugins/redis/message.ts";

/** Where triggers arrive, as a bare client sees it: its administrator's connection. */
export interface BareBroker {
  /** Writes messages as plugin delivery does, without its guards and its checks, and waits for the acknowledgement. */
  write(projectId: string, messages: readonly Message[]): Promise<void>;
  /** How many messages the stream or the topic `orders` of a project has. */
  count(projectId: string): Promise<number>;
  close(): Promise<void>;
}

/** Connects to a Redis by ioredis. `write` is one pipeline of XADD. */
export function openRedis(url: string): BareBroker {
  const redis = new Redis(url);
  return {
    write: async (projectId, messages) => {
      const pipeline = redis.pipeline();
      for (const message of messages) {
        const fields = toFields(projectId, message);
        pipeline.xadd(`${projectId}:bare`, "MAXLEN", "~", 100_000, "*", ...fields);
      }
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    },
    count: (projectId) => redis.xlen(`${projectId}:orders`),
    close: async () => redis.disconnect(),
  };
}

/** Connects to a Kafka by kafkajs. `write` is one sendBatch with acks from all copies. */
export async function openKafka(broker: {
  readonly brokers: string;
  readonly username: string;
  readonly password: string;
}): Promise<BareBroker> {
  const kafka = new Kafka({
    clientId: "bench",
    brokers: broker.brokers.split(","),
    sasl: { mechanism: "scram-sha-512", username: broker.username, password: broker.password },
    logLevel: logLevel.ERROR,
  });
  const producer = kafka.producer();
  const admin = kafka.admin();
  await Promise.all([producer.connect(), admin.connect()]);
  return {
    write: async (projectId, messages) => {
      const records = messages.map((message) => toKafkaMessage(projectId, message));
      await producer.sendBatch({
        acks: -1,
        topicMessages: [{ topic: `${projectId}.bare`, messages: records }],
      });
    },
    count: async (projectId) => {
      const partitions = await admin.fetchTopicOffsets(`${projectId}.orders`);
      return partitions.reduce((sum, { high }) => sum + Number(high), 0);
    },
    close: async () => {
      await Promise.all([producer.disconnect(), admin.disconnect()]);
    },
  };
}

function toKafkaMessage(projectId: string, message: Message): KafkaMessage {
  const kind = message.target?.kind;
  if (kind?.case !== "kafka") throw new Error("The message has no Kafka target.");
  const { key, value, headers } = toRecord(projectId, message, kind.value);
  return { key, value, headers: { ...headers } };
}
