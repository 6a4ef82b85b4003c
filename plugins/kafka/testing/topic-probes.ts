import * as api from "@platformatic/kafka";
import type { Probe } from "./probes.ts";

const TIMEOUT_MS = 5_000;
const TOPIC = 2 as const;
const BROKER = 4 as const;
const first = [{ partitionIndex: 0 }];
const configs = [{ name: "retention.ms", value: "1" }];
const changes = [{ name: "retention.ms", value: "1", configOperation: 0 as const }];

const create = (connection: api.Connection, name: string) => {
  const topic = { name, numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] };
  return api.createTopicsV7.api.async(connection, [topic], TIMEOUT_MS, false);
};
const produce = (connection: api.Connection, topic: string) => {
  const message = { topic, partition: 0, value: Buffer.from("x") };
  return api.produceV11.api.async(connection, -1, TIMEOUT_MS, [message], {});
};
const offsetsOf = (connection: api.Connection, name: string) => {
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1n }];
  return api.listOffsetsV9.api.async(connection, -1, 0, [{ name, partitions }]);
};

/** Tries to read, write and change topics. `proj_a` tries, `proj_b` and `proj_ab` are others. */
export const TOPIC_PROBES: readonly Probe[] = [
  [
    "See other topics",
    "Metadata of all topics",
    async ({ connection }) => {
      const { topics } = await api.metadataV12.api.async(connection, null, false, false);
      return topics.map(({ name }) => name ?? "");
    },
  ],
  [
    "",
    "Metadata of proj_b.orders",
    ({ connection, other }) => api.metadataV12.api.async(connection, [`${other}orders`], false, false),
  ],
  [
    "",
    "Metadata of proj_b.none, which does not exist",
    ({ connection, other }) => api.metadataV12.api.async(connection, [`${other}none`], false, false),
  ],
  [
    "",
    "Metadata of proj_ab.orders",
    ({ connection, longer }) => api.metadataV12.api.async(connection, [`${longer}orders`], false, false),
  ],
  [
    "",
    "DescribeTopicPartitions of proj_b.orders",
    async ({ connection, other }) => {
      // This client does not throw for the error of a topic.
      const topics = [{ name: `${other}orders` }];
      const answer = await api.describeTopicPartitionsV0.api.async(connection, topics, 10);
      return answer.topics.filter(({ errorCode }) => errorCode === 0).map(({ name }) => name ?? "");
    },
  ],
  ["", "ListOffsets of proj_b.orders", ({ connection, other }) => offsetsOf(connection, `${other}orders`)],
  ["", "ListOffsets of proj_ab.orders", ({ connection, longer }) => offsetsOf(connection, `${longer}orders`)],
  [
    "",
    "DescribeProducers of proj_b.orders",
    ({ connection, other }) =>
      api.describeProducersV0.api.async(connection, [{ name: `${other}orders`, partitionIndexes: [0] }]),
  ],
  [
    "Read another project's messages",
    "Fetch of proj_b.orders by its id",
    ({ connection, otherTopicId }) => {
      const position = { partition: 0, fetchOffset: 0n, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
      const topics = [{ topicId: otherTopicId, partitions: [{ ...position, partitionMaxBytes: 1_000 }] }];
      return api.fetchV17.api.async(connection, 0, 0, 1_000, 0, 0, -1, topics, [], "");
    },
  ],
  [
    "",
    "OffsetForLeaderEpoch of proj_b.orders",
    async ({ connection, other }) => {
      // This client takes the error code, which comes first (Kafka protocol guide), for the high half of the partition.
      const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }];
      const topics = [{ name: `${other}orders`, partitions }];
      const answer = await api.offsetForLeaderEpochV4.api.async(connection, -1, topics);
      const [{ partition = -1 } = {}] = answer.topics.flatMap((topic) => topic.partitions);
      if (partition !== 0) throw new api.ProtocolError(partition >> 16);
      return answer.topics.map(({ topic }) => topic);
    },
  ],
  [
    "Write to other topics",
    "Produce to proj_b.orders",
    ({ connection, other }) => produce(connection, `${other}orders`),
  ],
  ["", "Produce to proj_ab.orders", ({ connection, longer }) => produce(connection, `${longer}orders`)],
  ["", "Produce to orders", ({ connection }) => produce(connection, "orders")],
  ["", "Produce to __consumer_offsets", ({ connection }) => produce(connection, "__consumer_offsets")],
  ["Make topics", "CreateTopics proj_a.new", ({ connection, own }) => create(connection, `${own}new`)],
  ["", "CreateTopics proj_a", ({ connection, own }) => create(connection, own.slice(0, -1))],
  ["", "CreateTopics proj_b.new", ({ connection, other }) => create(connection, `${other}new`)],
  ["", "CreateTopics new", ({ connection }) => create(connection, "new")],
  [
    "Delete topics or messages",
    "DeleteTopics proj_a.orders",
    ({ connection, own }) => api.deleteTopicsV6.api.async(connection, [{ name: `${own}orders` }], TIMEOUT_MS),
  ],
  [
    "",
    "DeleteTopics proj_b.orders",
    ({ connection, other }) =>
      api.deleteTopicsV6.api.async(connection, [{ name: `${other}orders` }], TIMEOUT_MS),
  ],
  ...(["own", "other"] as const).map((whose): Probe => {
    const label = whose === "own" ? "proj_a" : "proj_b";
    return [
      "",
      `DeleteRecords of ${label}.orders`,
      ({ connection, [whose]: prefix }) => {
        const topics = [{ name: `${prefix}orders`, partitions: [{ partitionIndex: 0, offset: -1n }] }];
        return api.deleteRecordsV2.api.async(connection, topics, TIMEOUT_MS);
      },
    ];
  }),
  ...(["own", "other"] as const).flatMap((whose): Probe[] => {
    const label = whose === "own" ? "proj_a" : "proj_b";
    return [
      [
        whose === "own" ? "Change topics" : "",
        `CreatePartitions of ${label}.orders`,
        ({ connection, [whose]: prefix }) => {
          const topics = [{ name: `${prefix}orders`, count: 9, assignments: null }];
          return api.createPartitionsV3.api.async(connection, topics, TIMEOUT_MS, false);
        },
      ],
      [
        "",
        `AlterConfigs of ${label}.orders`,
        ({ connection, [whose]: prefix }) => {
          const resource = { resourceType: TOPIC, resourceName: `${prefix}orders`, configs };
          return api.alterConfigsV2.api.async(connection, [resource], false);
        },
      ],
      [
        "",
        `IncrementalAlterConfigs of ${label}.orders`,
        ({ connection, [whose]: prefix }) => {
          const resource = { resourceType: TOPIC, resourceName: `${prefix}orders`, configs: changes };
          return api.incrementalAlterConfigsV1.api.async(connection, [resource], false);
        },
      ],
      [
        "",
        `AlterPartitionReassignments of ${label}.orders`,
        ({ connection, [whose]: prefix }) => {
          const partitions = first.map((each) => ({ ...each, replicas: [1] }));
          const topics = [{ name: `${prefix}orders`, partitions }];
          return api.alterPartitionReassignmentsV0.api.async(connection, TIMEOUT_MS, false, topics);
        },
      ],
    ];
  }),
  [
    "Read configurations",
    "DescribeConfigs of proj_b.orders",
    ({ connection, other }) => {
      const resource = { resourceType: TOPIC, resourceName: `${other}orders`, configurationKeys: null };
      return api.describeConfigsV4.api.async(connection, [resource], false, false);
    },
  ],
  [
    "",
    "DescribeConfigs of the broker",
    ({ connection }) => {
      const resource = { resourceType: BROKER, resourceName: "1", configurationKeys: null };
      return api.describeConfigsV4.api.async(connection, [resource], false, false);
    },
  ],
];
