import { durationMs } from "@bufbuild/protobuf/wkt";
import { alterClientQuotasV1, type Connection, describeClientQuotasV0 } from "@platformatic/kafka";
import type { PluginLimits } from "../../gen/easycron/v1/plugin_pb.ts";
import { limitsUserOf } from "./names.ts";

/** The limits of a project's topics. */
export interface TopicLimits {
  readonly topics: number;
  /** Of each topic. */
  readonly partitions: number;
  /** Of each partition. */
  readonly bytes: number;
  /** Of each message. */
  readonly retentionMs: number;
}

/** Returns the limits of topics among the limits of a plugin. */
export function toTopicLimits(limits: PluginLimits): TopicLimits {
  return {
    topics: limits.maxTopics,
    partitions: limits.maxPartitions,
    bytes: Number(limits.maxPartitionBytes),
    retentionMs: limits.maxRetention === undefined ? 0 : durationMs(limits.maxRetention),
  };
}

// Kafka refuses a quota that has no such name.
const KEY = "producer_byte_rate";

const NAMES = ["topics", "partitions", "bytes", "retentionMs"] as const;

/**
 * Keeps the limits of a project in Kafka. A delivery needs them when it makes a topic, and the service stores nothing.
 *
 * Kafka has no place for data about a prefix of topics. So each limit is a quota of a user who does not exist and whom
 * no one can log in as, `<project>-limits`, with the limit's name as the client id. Kafka keeps quotas with its own
 * metadata: they are replicated, and each broker answers with them at once.
 */
export async function writeLimits(
  connection: Connection,
  projectId: string,
  limits: TopicLimits,
): Promise<void> {
  await alter(connection, projectId, (name) => ({ key: KEY, value: limits[name], remove: false }));
}

/** Removes the limits of a project. It can be repeated. */
export async function removeLimits(connection: Connection, projectId: string): Promise<void> {
  await alter(connection, projectId, () => ({ key: KEY, remove: true }));
}

type Op = Parameters<typeof alterClientQuotasV1.api.async>[1][number]["ops"][number];

async function alter(
  connection: Connection,
  projectId: string,
  toOp: (name: (typeof NAMES)[number]) => Op,
): Promise<void> {
  const entityName = limitsUserOf(projectId);
  const entries = NAMES.map((name) => ({
    entities: [
      { entityType: "user" as const, entityName },
      { entityType: "client-id" as const, entityName: name },
    ],
    ops: [toOp(name)],
  }));
  await alterClientQuotasV1.api.async(connection, entries, false);
}

/** Returns the limits of a project, or undefined if they were never written. */
export async function readLimits(
  connection: Connection,
  projectId: string,
): Promise<TopicLimits | undefined> {
  const components = [
    { entityType: "user" as const, matchType: 0 as const, match: limitsUserOf(projectId) },
    { entityType: "client-id" as const, matchType: 2 as const },
  ];
  const { entries } = await describeClientQuotasV0.api.async(connection, components, true);
  const found = new Map<string, number>();
  for (const { entity, values } of entries) {
    const name = entity.find(({ entityType }) => entityType === "client-id")?.entityName;
    const value = values.find(({ key }) => key === KEY)?.value;
    if (typeof name === "string" && value !== undefined) found.set(name, value);
  }
  const [topics, partitions, bytes, retentionMs] = NAMES.map((name) => found.get(name));
  if (topics === undefined || partitions === undefined || bytes === undefined || retentionMs === undefined) {
    return undefined;
  }
  return { topics, partitions, bytes, retentionMs };
}
