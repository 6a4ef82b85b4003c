import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type PluginSchema, PluginState } from "../../gen/easycron/v1/plugin_pb.ts";
import type { CredentialRow } from "./credentials.sql.ts";
import { type KindName, toKind } from "./kinds.ts";
import { readLimits } from "./limits.ts";
import type { PluginRow } from "./plugins.sql.ts";
import { readTopics } from "./topics.ts";

/** Each ends in a delimiter that no project id contains, so that no project's prefix begins another's name. */
const DELIMITERS: Readonly<Record<KindName, string>> = { REDIS: ":", KAFKA: "." };

/** Returns a plugin as customers see it, with the valid credentials among those of its project. */
export function toPlugin(
  row: PluginRow,
  credentials: readonly CredentialRow[],
): MessageInitShape<typeof PluginSchema> {
  const { kind, data_remove_time: removeMs } = row;
  return {
    kind: toKind(kind),
    state: PluginState[row.state],
    stateReason: row.state_reason,
    endpoint: row.endpoint,
    prefix: `${row.project_id}${DELIMITERS[kind]}`,
    limits: readLimits(row.limits),
    ...(row.measure_time === null ? {} : { usage: toUsage(row, row.measure_time) }),
    credentials: credentials.filter((each) => each.kind === kind).map(toCredential),
    topics: readTopics(row.topics),
    createTime: timestampFromMs(row.create_time),
    ...(removeMs === null ? {} : { dataRemoveTime: timestampFromMs(removeMs) }),
  };
}

function toUsage(row: PluginRow, measureMs: number) {
  return {
    bytes: BigInt(row.used_bytes),
    keys: BigInt(row.used_keys),
    topics: row.used_topics,
    partitions: row.used_partitions,
    connections: row.connections,
    measureTime: timestampFromMs(measureMs),
  };
}

function toCredential({ username, create_time: createMs, expire_time: expireMs }: CredentialRow) {
  return {
    username,
    createTime: timestampFromMs(createMs),
    ...(expireMs === null ? {} : { expireTime: timestampFromMs(expireMs) }),
  };
}
