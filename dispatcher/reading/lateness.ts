import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { LatenessSchema } from "../../gen/easycron/v1/trigger_pb.ts";
import { type LatenessRow, latenessByTriggers, type TriggerView } from "./reads.sql.ts";

/** Reads the lateness of those of a project's triggers that have been attempted more than once, or have waited, by id. */
export async function readLateness(
  database: Queryable,
  projectId: string,
  triggers: readonly TriggerView[],
): Promise<Map<string, LatenessRow>> {
  const retried = triggers.filter((row) => row.attempt_count > 1 || row.waiting_since !== null);
  if (retried.length === 0) return new Map();
  const [ids, times] = [retried.map(({ id }) => id), retried.map(({ fire_time }) => toSqlTime(fire_time))];
  const rows = await database.query(latenessByTriggers, [projectId, ids, times]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Converts the lateness of a trigger. If it has not been read, the wait for its first attempt is all of it, and ours. */
export function toLateness(
  { effective_time: effectiveMs, start_time: startMs }: TriggerView,
  read: LatenessRow | undefined,
): MessageInitShape<typeof LatenessSchema> | undefined {
  if (startMs === null) return undefined;
  const totalMs = read?.total_ms ?? Math.max(0, startMs - effectiveMs);
  const theirsMs = read?.theirs_ms ?? 0;
  return {
    total: durationFromMs(totalMs),
    ours: durationFromMs(totalMs - theirsMs),
    theirs: durationFromMs(theirsMs),
  };
}
