import type { ProjectUsage } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { pluginsNoteUsage, pluginsTakeUnmeasured, type UnmeasuredRow } from "./due.sql.ts";
import { type KindName, toKind } from "./kinds.ts";
import { readLimits } from "./limits.ts";
import { type PluginParts, sqlNow } from "./parts.ts";

const EVERY_MS = 60_000;
/** The most projects that one call measures. Source: MeasureUsageRequest. */
const BATCH = 1_000;
/** A Redis is walked at about 17,000 keys a second, so that others have it half of the time. This is for 5 million. */
const DEADLINE_MS = 300_000;
/** Writing is allowed again below this part of each limit, so that it does not change with every message. */
const ALLOWED_AGAIN = 0.9;

/**
 * Measures the plugins of a kind whose measurement is due, at most 1,000 in one call. A plugin that is over its limits, or
 * no longer, is due to be set up again. Returns whether more may be due.
 */
export async function measureDue(parts: PluginParts, kind: KindName): Promise<boolean> {
  const { database, delivery } = parts;
  const values = [sqlNow(parts), kind, BATCH, EVERY_MS];
  const rows = await database.query(pluginsTakeUnmeasured, values);
  if (rows.length === 0) return false;
  const projectIds = rows.map(({ project_id }) => project_id);
  const { usages } = await delivery.measureUsage(
    { kind: toKind(kind), projectIds },
    { deadlineMs: DEADLINE_MS },
  );
  const known = new Map(rows.map((row) => [row.project_id, row]));
  const measured = usages.flatMap(({ projectId, usage }) => {
    const row = known.get(projectId);
    return row === undefined || usage === undefined ? [] : [{ projectId, usage, row }];
  });
  await database.query(pluginsNoteUsage, [
    sqlNow(parts),
    kind,
    measured.map(({ projectId }) => projectId),
    measured.map(({ usage }) => Number(usage.bytes)),
    measured.map(({ usage }) => Number(usage.keys)),
    measured.map(({ usage }) => usage.topics),
    measured.map(({ usage }) => usage.partitions),
    measured.map(({ usage }) => usage.connections),
    measured.map(({ usage, row }) => kind === "REDIS" && mustBeReadOnly(row, usage)),
  ]);
  return rows.length === BATCH;
}

/**
 * Returns whether customers may only read and delete: from when one limit is used up until less than 90 % of each is used. A
 * limit of 0 is none.
 */
export function mustBeReadOnly(
  { limits, is_read_only: isReadOnly }: Pick<UnmeasuredRow, "limits" | "is_read_only">,
  { bytes, keys }: Pick<NonNullable<ProjectUsage["usage"]>, "bytes" | "keys">,
): boolean {
  const { maxBytes, maxKeys } = readLimits(limits);
  const part = Math.max(partOf(bytes, maxBytes), partOf(keys, maxKeys));
  return part >= (isReadOnly ? ALLOWED_AGAIN : 1);
}

function partOf(used: bigint, max: bigint): number {
  return max === 0n ? 0 : Number(used) / Number(max);
}
