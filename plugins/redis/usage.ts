import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ProjectUsageSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { askAll, askEach } from "./admin.ts";
import type { Connection } from "./connection.ts";
import { ownerOf } from "./names.ts";
import { scanKeys } from "./scan.ts";

interface Used {
  bytes: number;
  keys: number;
  connections: number;
}

/**
 * Measures what projects use. Bytes are those of the project's keys, as MEMORY USAGE estimates them, and of what EasyCron
 * keeps for it so that no trigger is written twice. Keys are the project's own.
 *
 * It goes once through all keys of the server, however many projects are asked for.
 */
export async function measureUsage(
  projectIds: readonly string[],
  connection: Connection,
  signal: AbortSignal,
  clock: Clock,
): Promise<MessageInitShape<typeof ProjectUsageSchema>[]> {
  const used = new Map(projectIds.map((id): [string, Used] => [id, { bytes: 0, keys: 0, connections: 0 }]));
  await scanKeys(connection, signal, (keys) => addPage(keys, used, connection, signal));
  await addConnections(used, connection, signal);
  const measureTime = timestampFromMs(clock.now());
  return projectIds.map((projectId) => {
    const { bytes = 0, keys = 0, connections = 0 } = used.get(projectId) ?? {};
    return { projectId, usage: { bytes: BigInt(bytes), keys: BigInt(keys), connections, measureTime } };
  });
}

async function addPage(
  keys: readonly string[],
  used: ReadonlyMap<string, Used>,
  connection: Connection,
  signal: AbortSignal,
): Promise<void> {
  const wanted = keys.flatMap((key) => {
    const owner = ownerOf(key);
    const own = owner === undefined ? undefined : used.get(owner.projectId);
    return owner === undefined || own === undefined ? [] : [{ key, own, isInternal: owner.isInternal }];
  });
  // The keys that EasyCron keeps have nearly the same size, so one of the page stands for all.
  const measured = wanted.filter(({ isInternal }) => !isInternal);
  const sample = wanted.find(({ isInternal }) => isInternal);
  const asked = sample === undefined ? measured : [...measured, sample];
  if (asked.length === 0) return;
  const replies = await askEach(
    connection,
    signal,
    asked.map(({ key }) => ["MEMORY", "USAGE", key]),
  );
  // A key that has gone meanwhile has no size.
  const sizes = replies.map(([, reply]) => (typeof reply === "number" ? reply : 0));
  for (const [index, { own }] of measured.entries()) {
    own.bytes += sizes[index] ?? 0;
    own.keys += 1;
  }
  const internalBytes = sizes[measured.length] ?? 0;
  for (const { own, isInternal } of wanted) if (isInternal) own.bytes += internalBytes;
}

async function addConnections(
  used: ReadonlyMap<string, Used>,
  connection: Connection,
  signal: AbortSignal,
): Promise<void> {
  const [list] = await askAll(connection, signal, [["CLIENT", "LIST"]]);
  for (const [, projectId = ""] of String(list).matchAll(/ user=(proj_[A-Za-z0-9]+)-[0-9]+ /g)) {
    const own = used.get(projectId);
    if (own !== undefined) own.connections += 1;
  }
}
