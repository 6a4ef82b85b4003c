import type { TriggerEvent } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../gen/easycron/v1/trigger_pb.ts";
import type { JobRow } from "./job.ts";
import { triggerId } from "./trigger-id.ts";

/** A trigger event, without the runtime's type mark. */
export type TriggerEventInit = Omit<TriggerEvent, "$typeName" | "$unknown">;

/** One link of a job's chain: a fire time that makes a trigger. Times are epoch milliseconds. */
export interface Link {
  readonly fireTimeMs: number;
  readonly effectiveMs: number;
  readonly kind: TriggerKind;
  readonly seq: number;
  readonly previousMs: number | null;
  readonly nextMs: number | null;
  /** How many fire times were skipped since the previous one. */
  readonly skipped: number;
  /** How many were missed since then. */
  readonly missed: number;
}

/** The event of one link. */
export function scheduledEvent(row: Omit<JobRow, "spec">, link: Link): TriggerEventInit {
  return {
    triggerId: triggerId(row.uid, link.fireTimeMs),
    projectId: row.project_id,
    jobUid: row.uid,
    jobName: row.name,
    revision: row.revision,
    epoch: row.epoch,
    kind: link.kind,
    nominalTimeMs: BigInt(link.fireTimeMs),
    effectiveTimeMs: BigInt(link.effectiveMs),
    seq: link.seq,
    previousSkipped: link.skipped,
    previousMissed: link.missed,
    ...(link.previousMs === null ? {} : { previousNominalTimeMs: BigInt(link.previousMs) }),
    ...(link.nextMs === null ? {} : { nextNominalTimeMs: BigInt(link.nextMs) }),
  };
}

/** The event of a manual run asked for at `nominalTimeMs`. */
export function manualEvent(
  row: JobRow,
  nominalTimeMs: number,
  requestId: string,
  payloadJson: string | undefined,
): TriggerEventInit {
  return {
    triggerId: triggerId(row.uid, nominalTimeMs, requestId),
    projectId: row.project_id,
    jobUid: row.uid,
    jobName: row.name,
    revision: row.revision,
    epoch: row.epoch,
    kind: TriggerKind.MANUAL,
    nominalTimeMs: BigInt(nominalTimeMs),
    effectiveTimeMs: BigInt(nominalTimeMs),
    seq: 0,
    previousSkipped: 0,
    previousMissed: 0,
    ...(payloadJson === undefined ? {} : { payloadJson }),
  };
}
