import * as api from "@platformatic/kafka";
import type { Probe } from "./probes.ts";

const GROUP_KEY = 0;
const TRANSACTION_KEY = 1;
const first = [{ partitionIndex: 0 }];

/** Tries to see, join and change groups and transactions. `proj_a` tries, `proj_b` is the other. */
export const GROUP_PROBES: readonly Probe[] = [
  [
    "See other groups",
    "ListGroups",
    async ({ connection }) => {
      const { groups } = await api.listGroupsV5.api.async(connection, [], []);
      return groups.map(({ groupId }) => groupId);
    },
  ],
  [
    "",
    "DescribeGroups proj_b.group",
    ({ connection, other }) => api.describeGroupsV5.api.async(connection, [`${other}group`], false),
  ],
  [
    "",
    "ConsumerGroupDescribe proj_b.group",
    ({ connection, other }) => api.consumerGroupDescribeV0.api.async(connection, [`${other}group`], false),
  ],
  [
    "",
    "FindCoordinator of the group proj_b.group",
    ({ connection, other }) => api.findCoordinatorV6.api.async(connection, GROUP_KEY, [`${other}group`]),
  ],
  [
    "",
    "OffsetFetch of proj_b.group",
    ({ connection, other }) => {
      const group = { groupId: `${other}group`, memberEpoch: -1, topics: null };
      return api.offsetFetchV9.api.async(connection, [group], false);
    },
  ],
  [
    "Join or change other groups",
    "JoinGroup proj_b.group",
    ({ connection, other }) => {
      const protocols = [{ name: "range", metadata: Buffer.alloc(0) }];
      const times = [6_000, 6_000] as const;
      return api.joinGroupV9.api.async(
        connection,
        `${other}group`,
        ...times,
        "",
        null,
        "consumer",
        protocols,
      );
    },
  ],
  [
    "",
    "ConsumerGroupHeartbeat in proj_b.group",
    ({ connection, other }) => {
      const member = ["c2b9e1f0a0b04f0e8d6a51", 0, null, null, 6_000] as const;
      const rest = [[`${other}orders`], null, null, []] as const;
      const topics = [...rest[0]];
      return api.consumerGroupHeartbeatV1.api.async(
        connection,
        `${other}group`,
        ...member,
        topics,
        null,
        null,
        [],
      );
    },
  ],
  [
    "",
    "LeaveGroup proj_b.group",
    ({ connection, other }) => api.leaveGroupV5.api.async(connection, `${other}group`, [{ memberId: "m" }]),
  ],
  [
    "",
    "OffsetCommit to proj_b.group",
    ({ connection, own, other }) => {
      const partitions = [{ partitionIndex: 0, committedOffset: 1n, committedLeaderEpoch: -1 }];
      const topics = [{ name: `${own}orders`, partitions }];
      return api.offsetCommitV9.api.async(connection, `${other}group`, -1, "", null, topics);
    },
  ],
  [
    "",
    "OffsetDelete of proj_b.group",
    ({ connection, other }) => {
      const topics = [{ name: `${other}orders`, partitions: first }];
      return api.offsetDeleteV0.api.async(connection, `${other}group`, topics);
    },
  ],
  [
    "",
    "DeleteGroups proj_b.group",
    ({ connection, other }) => api.deleteGroupsV2.api.async(connection, [`${other}group`]),
  ],
  [
    "See or use other transactions",
    "ListTransactions",
    async ({ connection }) => {
      const { transactionStates } = await api.listTransactionsV1.api.async(connection, [], [], -1n, null);
      return transactionStates.map(({ transactionalId }) => transactionalId);
    },
  ],
  [
    "",
    "DescribeTransactions proj_b.tx",
    ({ connection, other }) => api.describeTransactionsV0.api.async(connection, [`${other}tx`]),
  ],
  [
    "",
    "FindCoordinator of the transactional id proj_b.tx",
    ({ connection, other }) => api.findCoordinatorV6.api.async(connection, TRANSACTION_KEY, [`${other}tx`]),
  ],
  [
    "",
    "InitProducerId of proj_b.tx",
    ({ connection, other }) => api.initProducerIdV5.api.async(connection, `${other}tx`, 1_000, -1n, -1),
  ],
  [
    "",
    "AddOffsetsToTxn of proj_b.tx",
    ({ connection, other }) =>
      api.addOffsetsToTxnV4.api.async(connection, `${other}tx`, 1n, 0, `${other}group`),
  ],
  [
    "",
    "EndTxn of proj_b.tx",
    ({ connection, other }) => api.endTxnV4.api.async(connection, `${other}tx`, 1n, 0, true),
  ],
];
