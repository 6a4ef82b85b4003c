import {
  type Admin,
  type Connection,
  createPartitionsV3,
  createTopicsV7,
  deleteTopicsV6,
  incrementalAlterConfigsV1,
  metadataV12,
  UserError,
} from "@platformatic/kafka";
import { pause } from "../../mesh/pause.ts";
import { isAnswer, isOnly } from "./admin-errors.ts";
import type { TopicLimits } from "./limits.ts";

/** How a topic is to be. */
export interface TopicPlan {
  /** The full name. */
  readonly topic: string;
  readonly partitions: number;
  /** Undefined: the limit. */
  readonly retentionMs?: number | undefined;
  /** Whether it keeps only the latest message of each key. */
  readonly isCompacted: boolean;
}

/** How many partitions a topic has that is told no number, if the limit allows as many. */
export const DEFAULT_PARTITIONS = 3;

const TIMEOUT_MS = 10_000;
const MIB = 1_048_576;

/** Returns the topics whose names begin with a prefix, with their numbers of partitions. */
export async function listTopics(connection: Connection, prefix: string): Promise<Map<string, number>> {
  // Kafka cannot list by prefix, so it lists all topics. `null` means all.
  const { topics } = await metadataV12.api.async(connection, null, false, false);
  const own = topics.filter(({ name }) => name?.startsWith(prefix));
  return new Map(own.map(({ name, partitions }) => [name ?? "", partitions.length]));
}

/** Returns how a topic is made for which nothing was asked. */
export function toDefaultPlan(topic: string, limits: TopicLimits): TopicPlan {
  return { topic, partitions: Math.min(DEFAULT_PARTITIONS, limits.partitions), isCompacted: false };
}

/** Creates a topic unless it exists. The operator's broker decides how many copies there are. */
export async function createTopic(
  connection: Connection,
  plan: TopicPlan,
  limits: TopicLimits,
): Promise<void> {
  const request = {
    name: plan.topic,
    numPartitions: plan.partitions,
    replicationFactor: -1,
    assignments: [],
    configs: toConfigs(plan, limits),
  };
  await unless("TOPIC_ALREADY_EXISTS", createTopicsV7.api.async(connection, [request], TIMEOUT_MS, false));
}

const POLL_MS = 25;
const LED_WITHIN_MS = 3_000;

/**
 * Waits until each partition of a new topic has a leader that answers, at most 3 s. Before that, a leader refuses
 * records although others are stored already, and the records that are sent again would be there twice.
 */
export async function untilLed(client: Admin, { topic, partitions }: TopicPlan): Promise<void> {
  const untilMs = performance.now() + LED_WITHIN_MS;
  const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: -1n,
  }));
  while (performance.now() < untilMs) {
    try {
      await client.listOffsets({ topics: [{ name: topic, partitions: asked }] });
      return;
    } catch (error) {
      // The client says so itself when the broker does not know the topic yet.
      if (!isAnswer(error) && !(error instanceof UserError)) throw error;
      client.clearMetadata();
    }
    await pause(POLL_MS);
  }
}

/** Raises the number of a topic's partitions. */
export async function growTopic(connection: Connection, { topic, partitions }: TopicPlan): Promise<void> {
  const request = { name: topic, count: partitions, assignments: null };
  // Kafka refuses the number that the topic has already, which a repeated call may ask for.
  await unless("INVALID_PARTITIONS", createPartitionsV3.api.async(connection, [request], TIMEOUT_MS, false));
}

/** Brings the configurations of topics up to their plans. */
export async function configureTopics(
  connection: Connection,
  plans: readonly TopicPlan[],
  limits: TopicLimits,
): Promise<void> {
  if (plans.length === 0) return;
  const resources = plans.map((plan) => ({
    resourceType: 2 as const,
    resourceName: plan.topic,
    configs: toConfigs(plan, limits).map((config) => ({ ...config, configOperation: 0 as const })),
  }));
  await incrementalAlterConfigsV1.api.async(connection, resources, false);
}

/** Deletes topics with all their messages. It can be repeated. */
export async function deleteTopics(connection: Connection, topics: readonly string[]): Promise<void> {
  for (const name of topics) {
    const deleting = deleteTopicsV6.api.async(connection, [{ name }], TIMEOUT_MS);
    await unless("UNKNOWN_TOPIC_OR_PARTITION", deleting);
  }
}

async function unless(refusal: string, request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!isOnly(error, refusal)) throw error;
  });
}

function toConfigs({ retentionMs, isCompacted }: TopicPlan, limits: TopicLimits) {
  // Kafka never removes the segment that it writes to. A quarter keeps a partition near its limit.
  const segmentBytes = Math.min(Math.max(Math.floor(limits.bytes / 4), MIB), 1_024 * MIB);
  const values = {
    // A compacted topic is bounded by its bytes only, so "delete" is there, too.
    "cleanup.policy": isCompacted ? "compact,delete" : "delete",
    "retention.ms": isCompacted ? -1 : (retentionMs ?? limits.retentionMs),
    "retention.bytes": limits.bytes,
    "segment.bytes": segmentBytes,
  };
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
}
