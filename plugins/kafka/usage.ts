import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ProjectUsageSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import type { AdminSession } from "./admin.ts";
import { prefixOf } from "./names.ts";
import { listTopics } from "./topics.ts";

/**
 * Measures what projects use: topics, partitions, and the bytes of their logs without further copies. Kafka does not
 * count keys, nor the connections of a user, so both are 0.
 */
export async function measureUsage(
  { client, connection }: AdminSession,
  projectIds: readonly string[],
  nowMs: number,
): Promise<MessageInitShape<typeof ProjectUsageSchema>[]> {
  const topics = await listTopics(connection, "");
  const owners = new Map(projectIds.map((projectId) => [prefixOf(projectId), projectId]));
  const own = [...topics].flatMap(([topic, partitions]) => {
    const projectId = owners.get(topic.slice(0, topic.indexOf(".") + 1));
    return projectId === undefined ? [] : [{ topic, partitions, projectId }];
  });
  const bytes = await measureBytes(client, own);
  const ofProjects = Map.groupBy(own, (each) => each.projectId);
  return projectIds.map((projectId) => {
    const ofProject = ofProjects.get(projectId) ?? [];
    const sum = (measure: (each: (typeof own)[number]) => number) =>
      ofProject.reduce((total, each) => total + measure(each), 0);
    return {
      projectId,
      usage: {
        bytes: BigInt(sum(({ topic }) => bytes.get(topic) ?? 0)),
        topics: ofProject.length,
        partitions: sum(({ partitions }) => partitions),
        measureTime: timestampFromMs(nowMs),
      },
    };
  });
}

/** Returns the bytes of topics. Of the copies of a partition, the largest counts: others may lag behind. */
async function measureBytes(
  client: AdminSession["client"],
  topics: readonly { topic: string; partitions: number }[],
): Promise<Map<string, number>> {
  if (topics.length === 0) return new Map();
  const brokers = await client.describeLogDirs({
    topics: topics.map(({ topic, partitions }) => ({
      name: topic,
      partitions: Array.from({ length: partitions }, (_, index) => index),
    })),
  });
  const largest = new Map<string, Map<number, number>>();
  for (const { name, partitions } of brokers.flatMap(({ results }) =>
    results.flatMap((each) => each.topics),
  )) {
    const ofTopic = largest.get(name) ?? new Map<number, number>();
    largest.set(name, ofTopic);
    for (const { partitionIndex, partitionSize } of partitions) {
      ofTopic.set(partitionIndex, Math.max(ofTopic.get(partitionIndex) ?? 0, Number(partitionSize)));
    }
  }
  const total = (sizes: Map<number, number>) => [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return new Map([...largest].map(([topic, sizes]) => [topic, total(sizes)]));
}
