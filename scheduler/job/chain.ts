import {
  type TriggerEvent,
  TriggerEventSchema,
} from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { JobRow, TurnRow } from "./job.ts";
import { triggerId } from "./trigger-id.ts";

/** A trigger event. It is made as a message, so that the protobuf runtime need not copy it field by field. */
export type TriggerEventInit = Omit<TriggerEvent, "$unknown">;

/** The name of the type of a trigger event. */
export const TRIGGER_EVENT = TriggerEventSchema.typeName;

/**
 * One link of a job's chain: a fire time that makes a trigger. The chain is the sequence of a job's scheduled triggers,
 * each naming the fire times before and after it. Times are epoch milliseconds.
 */
export interface Link {
  readonly fireTimeMs: number;
  readonly effectiveMs: number;
  readonly kind: TriggerKind;
  /** 1 for the job's first trigger, then one more for each. */
  readonly seq: number;
  /** The fire time of the previous trigger; null for the first. */
  readonly previousMs: number | null;
  /** The next fire time; null for the last. */
  readonly nextMs: number | null;
  /** How many fire times were skipped since the previous trigger. */
  readonly skipped: number;
  /** How many fire times were missed since the previous trigger. */
  readonly missed: number;
  /** The zone data version that the fire time was computed with. */
  readonly zoneData: string;
}

/** Returns the trigger event of one link. */
export function scheduledEvent(row: TurnRow, link: Link): TriggerEventInit {
  const event: TriggerEventInit = {
    $typeName: TRIGGER_EVENT,
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
  };
  if (link.previousMs !== null) event.previousNominalTimeMs = BigInt(link.previousMs);
  if (link.nextMs !== null) event.nextNominalTimeMs = BigInt(link.nextMs);
  return event;
}

/** A manual run of a job. */
export interface ManualRun {
  /** When the run was requested. Epoch milliseconds. */
  readonly nominalTimeMs: number;
  readonly requestId: string;
  /** Replaces the job's payload; undefined keeps it. */
  readonly payloadJson: string | undefined;
  /** The zone data version in effect. */
  readonly zoneData: string;
}

/** Returns the trigger event of a manual run. It is not part of the chain: its sequence number is 0. */
export function manualEvent(
  row: JobRow,
  { nominalTimeMs, requestId, payloadJson, zoneData }: ManualRun,
): TriggerEventInit {
  return {
    $typeName: TRIGGER_EVENT,
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
