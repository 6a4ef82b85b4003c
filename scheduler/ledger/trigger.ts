import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  type LatenessSchema,
  TriggerKind,
  type TriggerSchema,
  TriggerState,
} from "../../gen/easycron/v1/trigger_pb.ts";
import { traceIdOf } from "../../mesh/trigger-trace.ts";
import type { JobRow } from "../job/job.ts";
import { type LatenessRow, type LedgerTriggerRow, ledgerLateness } from "./ledger.sql.ts";

/** A trigger that is less late than this did not wait for its target for long. */
const LATE_MS = 100;

/** Reads the lateness of those of a job's triggers that have been attempted more than once, or are late, by id. */
export async function readLateness(
  on: Queryable,
  job: Pick<JobRow, "project_id">,
  triggers: readonly LedgerTriggerRow[],
): Promise<ReadonlyMap<string, LatenessRow>> {
  const retried = triggers.filter((row) => row.attempt_count > 1 || isLate(row));
  if (retried.length === 0) return new Map();
  const [ids, times] = [retried.map(({ id }) => id), retried.map(({ fire_time }) => toSqlTime(fire_time))];
  const rows = await on.query(ledgerLateness, [job.project_id, ids, times]);
  return new Map(rows.map((row) => [row.id, row]));
}

function isLate({ start_time: startMs, effective_time: effectiveMs }: LedgerTriggerRow): boolean {
  return startMs !== null && startMs - effectiveMs >= LATE_MS;
}

/** Converts a trigger of a job to what customers see, with its lateness if that has been read. */
export function toTrigger(
  job: Pick<JobRow, "uid">,
  row: LedgerTriggerRow,
  read?: LatenessRow,
): MessageInitShape<typeof TriggerSchema> {
  const lateness = toLateness(row, read);
  return {
    id: row.id,
    traceId: traceIdOf(row.id),
    job: row.job_name,
    jobUid: job.uid,
    revision: row.revision,
    kind: TriggerKind[row.kind],
    state: TriggerState[row.state as keyof typeof TriggerState],
    nominalTime: timestampFromMs(row.fire_time),
    effectiveTime: timestampFromMs(row.effective_time),
    seq: row.seq,
    attemptCount: row.attempt_count,
    createTime: timestampFromMs(row.create_time),
    zoneDataVersion: row.zone_data,
    ...(row.start_time === null ? {} : { startTime: timestampFromMs(row.start_time) }),
    ...(row.end_time === null ? {} : { endTime: timestampFromMs(row.end_time) }),
    ...(row.state === "RETRYING" ? { nextAttemptTime: timestampFromMs(row.due_time) } : {}),
    ...(row.state === "ACCEPTED" ? { acknowledgeDeadlineTime: timestampFromMs(row.due_time) } : {}),
    ...(lateness === undefined ? {} : { lateness }),
  };
}

/** If the lateness has not been read, the wait for the first attempt is all of it, and ours. */
function toLateness(
  { effective_time: effectiveMs, start_time: startMs }: LedgerTriggerRow,
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
