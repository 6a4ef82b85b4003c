import { type ICustomPartitioner, type Message, Partitioners } from "kafkajs";
import type { PartitionChoice } from "./record.ts";

/** A record names a partition that its topic does not have. Nothing of the request was sent. */
export class PartitionMissingError extends Error {
  override readonly name = "PartitionMissingError";
  readonly topic: string;
  /** How many partitions the topic has. */
  readonly partitions: number;

  constructor(topic: string, partitions: number) {
    super(`The topic has ${partitions} partitions.`);
    this.topic = topic;
    this.partitions = partitions;
  }
}

/** Chooses partitions and remembers them. */
export interface Partitioner {
  readonly create: ICustomPartitioner;
  /** Says how the partition of a message is to be chosen. */
  plan(message: Message, choice: PartitionChoice): void;
  /** Returns the partition that was chosen; undefined if none was yet. */
  chosen(message: Message): number | undefined;
}

/**
 * Makes the partitioner of a producer. By key, it chooses as Kafka's Java client does (murmur2). It throws a
 * PartitionMissingError for a partition that does not exist: kafkajs would leave such a message out and say nothing.
 */
export function createPartitioner(): Partitioner {
  const choices = new WeakMap<Message, PartitionChoice>();
  const partitions = new WeakMap<Message, number>();
  const turns = new Map<string, number>();
  const byKey = Partitioners.DefaultPartitioner();
  return {
    create: () => (args) => {
      const { topic, partitionMetadata, message } = args;
      const count = partitionMetadata.length;
      const choice = choices.get(message) ?? "by-key";
      let partition: number;
      if (typeof choice === "number") {
        if (choice >= count) throw new PartitionMissingError(topic, count);
        partition = choice;
      } else if (choice === "round-robin") {
        const turn = turns.get(topic) ?? Math.floor(Math.random() * count);
        turns.set(topic, turn + 1);
        partition = turn % count;
      } else {
        partition = byKey(args);
      }
      partitions.set(message, partition);
      return partition;
    },
    plan: (message, choice) => choices.set(message, choice),
    chosen: (message) => partitions.get(message),
  };
}
