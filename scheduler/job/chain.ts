import type { TriggerEvent } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { JobRow, TurnRow } from "./job.ts";
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
  /** The release of the zone database that the fire time is computed by. */
  readonly zoneData: string;
}

/** The event of one link. */
export function scheduledEvent(row: TurnRow, link: Link): TriggerEventInit {
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
    zoneDataVersion: link.zoneData,
    ...(link.previousMs === null ? {} : { previousNominalTimeMs: BigInt(link.previousMs) }),
    ...(link.nextMs === null ? {} : { nextNominalTimeMs: BigInt(link.nextMs) }),
  };
}

/** A manual run: when it was asked for, its request id, what it carries in place of the job's payload. */
export interface ManualRun {
  readonly nominalTimeMs: number;
  readonly requestId: string;
  readonly payloadJson: string | undefined;
  /** The release of the zone database in force. */
  readonly zoneData: string;
}

/** The event of a manual run. */
export function manualEvent(
  row: JobRow,
  { nominalTimeMs, requestId, payloadJson, zoneData }: ManualRun,
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
    zoneDataVersion: zoneData,
    ...(payloadJson === undefined ? {} : { payloadJson }),
  };
}
