import type { TriggerEvent } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import type { HeldTrigger, TriggerKindName } from "../waiting/held-trigger.ts";

const KINDS: ReadonlyMap<TriggerKind, TriggerKindName> = new Map([
  [TriggerKind.SCHEDULED, "SCHEDULED"],
  [TriggerKind.CATCHUP, "CATCHUP"],
  [TriggerKind.MANUAL, "MANUAL"],
  [TriggerKind.BACKFILL, "BACKFILL"],
]);

/** Reads the trigger that an event becomes. Throws FIELD_INVALID for an event that no scheduler would send. */
export function toTrigger(event: TriggerEvent): HeldTrigger {
  const kind = KINDS.get(event.kind);
  if (kind === undefined) {
    throw failure("FIELD_INVALID", {
      field: "events.kind",
      problem: `${event.kind} is not a kind of trigger.`,
    });
  }
  checkId("trigger_id", event.triggerId);
  checkId("project_id", event.projectId);
  checkId("job_uid", event.jobUid);
  checkTime("nominal_time_ms", event.nominalTimeMs);
  checkTime("effective_time_ms", event.effectiveTimeMs);
  checkTime("previous_nominal_time_ms", event.previousNominalTimeMs);
  checkTime("next_nominal_time_ms", event.nextNominalTimeMs);
  return {
    id: event.triggerId,
    fireTimeMs: Number(event.nominalTimeMs),
    effectiveTimeMs: Number(event.effectiveTimeMs),
    projectId: event.projectId,
    jobUid: event.jobUid,
    jobName: event.jobName,
    revision: event.revision,
    kind,
    seq: event.seq,
    previousFireTimeMs: toMsOrNull(event.previousNominalTimeMs),
    nextFireTimeMs: toMsOrNull(event.nextNominalTimeMs),
    previousSkipped: event.previousSkipped,
    previousMissed: event.previousMissed,
    payload: event.payloadJson ?? null,
    dueTimeMs: Number(event.effectiveTimeMs),
    attemptCount: 0,
    attemptBase: 0,
    waitingFor: null,
    waitingSinceMs: null,
  };
}

function toMsOrNull(ms: bigint | undefined): number | null {
  return ms === undefined ? null : Number(ms);
}

const ID = /^[a-z]{2,5}_[0-9a-z]{26}$/;

function checkId(field: string, id: string): void {
  if (ID.test(id)) return;
  throw failure("FIELD_INVALID", {
    field: `events.${field}`,
    problem: `It must be 2 to 5 lower-case letters, "_", and 26 digits or lower-case letters; it is "${id}".`,
  });
}

/** The years 1 to 9999: nothing here reads how PostgreSQL writes a time before or after. */
const FIRST_MS = BigInt(Date.parse("0001-01-01T00:00:00Z"));
const LAST_MS = BigInt(Date.parse("9999-12-31T23:59:59.999Z"));

function checkTime(field: string, ms: bigint | undefined): void {
  if (ms === undefined || (ms >= FIRST_MS && ms <= LAST_MS)) return;
  throw failure("FIELD_INVALID", {
    field: `events.${field}`,
    problem: `It must be a time of the years 1 to 9999 in epoch milliseconds; it is ${ms}.`,
  });
}
