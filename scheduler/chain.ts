import type { TriggerEvent } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../gen/easycron/v1/trigger_pb.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { JobRow } from "./job.ts";
import { triggerId } from "./trigger-id.ts";

/** Where a job's cursor and chain stand. */
export interface ChainPosition {
  /** First fire time not yet handed over; null when there is none. */
  readonly nextFireTimeMs: number | null;
  /** Last one handed over. */
  readonly lastFireTimeMs: number | null;
  /** Its place. */
  readonly lastSeq: number;
}

/** Fire times to hand over, and where the job stands once that is done. */
export interface Links {
  readonly events: readonly TriggerEventInit[];
  readonly position: ChainPosition;
}

/** A trigger event, without the runtime's type mark. */
export type TriggerEventInit = Omit<TriggerEvent, "$typeName" | "$unknown">;

/** Where the row says that the job stands. */
export function positionOf(row: Omit<JobRow, "spec">): ChainPosition {
  return { nextFireTimeMs: row.next_fire_time, lastFireTimeMs: row.last_fire_time, lastSeq: row.last_seq };
}

/**
 * The next links of a job's chain: its fire times up to and including `untilMs`, at most `limit`. Each is computed
 * from the one before, never from the clock, so that none is passed over however late this runs.
 */
export function nextLinks(
  row: Omit<JobRow, "spec">,
  schedule: CompiledSchedule,
  untilMs: number,
  limit: number,
): Links {
  const events: TriggerEventInit[] = [];
  let { nextFireTimeMs, lastFireTimeMs, lastSeq } = positionOf(row);
  while (nextFireTimeMs !== null && nextFireTimeMs <= untilMs && events.length < limit) {
    const fireTimeMs: number = nextFireTimeMs;
    nextFireTimeMs = schedule.nextAfter(fireTimeMs);
    lastSeq += 1;
    events.push(
      toEvent(row, { fireTimeMs, seq: lastSeq, previousMs: lastFireTimeMs, nextMs: nextFireTimeMs }),
    );
    lastFireTimeMs = fireTimeMs;
  }
  return { events, position: { nextFireTimeMs, lastFireTimeMs, lastSeq } };
}

interface Link {
  readonly fireTimeMs: number;
  readonly seq: number;
  readonly previousMs: number | null;
  readonly nextMs: number | null;
}

function toEvent(row: Omit<JobRow, "spec">, link: Link): TriggerEventInit {
  return {
    triggerId: triggerId(row.uid, link.fireTimeMs),
    projectId: row.project_id,
    jobUid: row.uid,
    jobName: row.name,
    revision: row.revision,
    epoch: row.epoch,
    kind: TriggerKind.SCHEDULED,
    nominalTimeMs: BigInt(link.fireTimeMs),
    effectiveTimeMs: BigInt(link.fireTimeMs),
    seq: link.seq,
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
    ...(payloadJson === undefined ? {} : { payloadJson }),
  };
}
