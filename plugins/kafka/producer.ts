import { connect, type Socket } from "node:net";
import { Kafka, logLevel, type Message } from "kafkajs";
import type { Logger } from "../../mesh/logger.ts";
import { createPartitioner } from "./partitioner.ts";
import type { KafkaRecord } from "./record.ts";
import type { KafkaSettings } from "./settings.ts";

/** Where Kafka has stored a record. */
export interface Place {
  readonly partition: number;
  readonly offset: bigint;
}

/** The connection by which one project's records are written. */
export interface Producer {
  /**
   * Writes records in one request to each broker, and waits until all copies are in sync. Returns the place of each
   * record, in their order; undefined for one that kafkajs has left out. Only one call at a time. Throws the error of
   * kafkajs, or a PartitionMissingError. After an error use the producer no more, but close it: kafkajs goes on asking
   * for topics that no longer exist, and then fails for all others.
   */
  send(records: readonly KafkaRecord[]): Promise<(Place | undefined)[]>;
  /** Returns whether a request with records was handed to a connection since the last `send` began. */
  hasWritten(): boolean;
  /** Returns the partition that was chosen for a record, if it was. */
  partitionOf(record: KafkaRecord): number | undefined;
  /** Closes its connections at once. A `send` under way fails. */
  close(): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** The caller's deadline comes first. This is for one that has none. */
const REQUEST_TIMEOUT_MS = 30_000;
/** After this time the producer knows of partitions that were added. */
const METADATA_MAX_AGE_MS = 30_000;

/**
 * Creates a producer, which connects when it is used first. kafkajs repeats nothing (`retries: 0`): a send that timed out
 * would otherwise leave a copy for each repetition.
 */
export function createProducer(settings: KafkaSettings): Producer {
  const sockets = createSockets();
  const kafka = new Kafka({
    clientId: "easycron-plugins",
    brokers: [...settings.brokers],
    sasl: { mechanism: "scram-sha-512", username: settings.username, password: settings.password },
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: { retries: 0 },
    socketFactory: ({ host, port, onConnect }) => sockets.open(host, port, onConnect),
    logLevel: logLevel.WARN,
    logCreator: () => toLog(settings.logger),
  });
  const partitioner = createPartitioner();
  const producer = kafka.producer({
    retry: { retries: 0 },
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_MAX_AGE_MS,
    createPartitioner: partitioner.create,
  });
  let connected: Promise<void> | undefined;
  let messages = new Map<KafkaRecord, Message>();
  return {
    send: async (records) => {
      sockets.forgetWritten();
      messages = new Map(records.map((record) => [record, toMessage(record)]));
      for (const [{ choice }, message] of messages) partitioner.plan(message, choice);
      connected ??= producer.connect();
      await connected;
      const topicMessages = groupByTopic(messages);
      const answers = await producer.sendBatch({ acks: -1, timeout: REQUEST_TIMEOUT_MS, topicMessages });
      const next = new Map(
        answers.map(({ topicName, partition, baseOffset }) => [
          `${topicName}/${partition}`,
          BigInt(baseOffset ?? "0"),
        ]),
      );
      return [...messages].map(([{ topic }, message]) => {
        const partition = partitioner.chosen(message);
        const at = `${topic}/${partition}`;
        const offset = next.get(at);
        if (partition === undefined || offset === undefined) return undefined;
        next.set(at, offset + 1n);
        return { partition, offset };
      });
    },
    hasWritten: sockets.hasWritten,
    partitionOf: (record) => {
      const message = messages.get(record);
      return message && partitioner.chosen(message);
    },
    close: () => {
      sockets.close();
      producer.disconnect().catch(() => {});
    },
  };
}

function toMessage({ key, value, headers }: KafkaRecord): Message {
  return { key, value, headers: { ...headers } };
}

function groupByTopic(messages: ReadonlyMap<KafkaRecord, Message>) {
  const topics = new Map<string, Message[]>();
  for (const [{ topic }, message] of messages) {
    const ofTopic = topics.get(topic);
    if (ofTopic === undefined) topics.set(topic, [message]);
    else ofTopic.push(message);
  }
  return [...topics].map(([topic, ofTopic]) => ({ topic, messages: ofTopic }));
}

// Each failure has an outcome and a line of ours. What kafkajs says beside it is for whoever looks for its cause.
function toLog(logger: Logger) {
  return ({ namespace, log: { message } }: { namespace: string; log: { message: string } }) =>
    logger.debug({ namespace }, `kafkajs: ${message}`);
}

// Position and value of the API key in a request. Source: Kafka protocol guide, request header.
const API_KEY_OFFSET = 4;
const PRODUCE = 0;

/** Makes connections, sees whether records are written to one, and can close all at once, which kafkajs cannot. */
function createSockets() {
  const open = new Set<Socket>();
  let isClosed = false;
  let hasWritten = false;
  return {
    open: (host: string, port: number, onConnect: () => void): Socket => {
      // kafkajs connects anew by itself after a failure.
      if (isClosed) throw new Error("The producer is closed.");
      const socket = connect({ host, port }, onConnect);
      socket.setNoDelay(true);
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      const write = socket.write;
      const watched: Socket["write"] = (data: Uint8Array | string, ...rest: unknown[]): boolean => {
        if (Buffer.isBuffer(data) && data.readInt16BE(API_KEY_OFFSET) === PRODUCE) hasWritten = true;
        return Reflect.apply(write, socket, [data, ...rest]) as boolean;
      };
      socket.write = watched;
      return socket;
    },
    forgetWritten: () => {
      hasWritten = false;
    },
    hasWritten: () => hasWritten,
    close: () => {
      isClosed = true;
      // kafkajs ends its requests only when it sees an error.
      for (const socket of open) socket.destroy(new Error("The producer is closed."));
    },
  };
}
