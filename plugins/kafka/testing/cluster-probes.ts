import * as api from "@platformatic/kafka";
import type { Probe } from "./probes.ts";

const TIMEOUT_MS = 5_000;
const secret = { mechanism: 2, iterations: 4_096, salt: Buffer.alloc(16), saltedPassword: Buffer.alloc(64) };
const any = {
  resourceType: 1,
  resourceName: null,
  resourcePatternType: 1,
  principal: null,
  host: null,
  operation: 1,
  permissionType: 1,
} as const;

/** Tries to manage users, rights, quotas and brokers. `proj_a` tries, `proj_b` is the other. */
export const CLUSTER_PROBES: readonly Probe[] = [
  [
    "Manage users",
    "DescribeUserScramCredentials of all",
    ({ connection }) => api.describeUserScramCredentialsV0.api.async(connection, []),
  ],
  [
    "",
    "DescribeUserScramCredentials of proj_b-1",
    ({ connection, otherUser }) =>
      api.describeUserScramCredentialsV0.api.async(connection, [{ name: otherUser }]),
  ],
  [
    "",
    "AlterUserScramCredentials: a password for proj_a-1",
    ({ connection, ownUser }) =>
      api.alterUserScramCredentialsV0.api.async(connection, [], [{ name: ownUser, ...secret }]),
  ],
  [
    "",
    "AlterUserScramCredentials: a password for proj_b-1",
    ({ connection, otherUser }) =>
      api.alterUserScramCredentialsV0.api.async(connection, [], [{ name: otherUser, ...secret }]),
  ],
  [
    "",
    "AlterUserScramCredentials: delete proj_b-1",
    ({ connection, otherUser }) =>
      api.alterUserScramCredentialsV0.api.async(connection, [{ name: otherUser, mechanism: 2 }], []),
  ],
  [
    "",
    "CreateDelegationToken",
    ({ connection }) => api.createDelegationTokenV3.api.async(connection, null, null, [], 1_000n),
  ],
  ["Manage rights", "DescribeAcls of all", ({ connection }) => api.describeAclsV3.api.async(connection, any)],
  [
    "",
    "CreateAcls: proj_a-1 reads everything",
    ({ connection, ownUser }) =>
      api.createAclsV3.api.async(connection, [
        {
          resourceType: 2,
          resourceName: "*",
          resourcePatternType: 3,
          principal: `User:${ownUser}`,
          host: "*",
          operation: 3,
          permissionType: 3,
        },
      ]),
  ],
  ["", "DeleteAcls of all", ({ connection }) => api.deleteAclsV3.api.async(connection, [any])],
  [
    "Manage quotas",
    "DescribeClientQuotas of all",
    ({ connection }) => {
      const component = { entityType: "user", matchType: 2 } as const;
      return api.describeClientQuotasV0.api.async(connection, [component], false);
    },
  ],
  ...(["ownUser", "otherUser"] as const).map((whose): Probe => {
    const label = whose === "ownUser" ? "proj_a-1" : "proj_b-1";
    return [
      "",
      `AlterClientQuotas of ${label}`,
      ({ connection, [whose]: entityName }) => {
        const op = { key: "producer_byte_rate", value: 1_000_000_000, remove: false } as const;
        const entry = { entities: [{ entityType: "user" as const, entityName }], ops: [op] };
        return api.alterClientQuotasV1.api.async(connection, [entry], false);
      },
    ];
  }),
  [
    "Manage brokers",
    "IncrementalAlterConfigs of the broker",
    ({ connection }) => {
      const configs = [{ name: "log.retention.ms", value: "1", configOperation: 0 as const }];
      const resource = { resourceType: 4 as const, resourceName: "1", configs };
      return api.incrementalAlterConfigsV1.api.async(connection, [resource], false);
    },
  ],
  ["", "UnregisterBroker", ({ connection }) => api.unregisterBrokerV0.api.async(connection, 99)],
  [
    "",
    "UpdateFeatures",
    ({ connection }) => {
      const feature = { feature: "metadata.version", maxVersionLevel: 1, upgradeType: 2 };
      return api.updateFeaturesV1.api.async(connection, TIMEOUT_MS, [feature], true);
    },
  ],
  [
    "",
    "DescribeQuorum",
    ({ connection }) => {
      const topic = { topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] };
      return api.describeQuorumV2.api.async(connection, [topic]);
    },
  ],
  [
    "",
    "ListPartitionReassignments",
    ({ connection }) => api.listPartitionReassignmentsV0.api.async(connection, TIMEOUT_MS, []),
  ],
  [
    "",
    "ListClientMetricsResources",
    ({ connection }) => api.listClientMetricsResourcesV0.api.async(connection),
  ],
  [
    "See how much others use",
    "DescribeLogDirs of proj_b.orders",
    async ({ connection, other }) => {
      const topics = [{ name: `${other}orders`, partitions: [0] }];
      const { results } = await api.describeLogDirsV4.api.async(connection, topics);
      return results.flatMap((each) => each.topics.map(({ name }) => name));
    },
  ],
];
