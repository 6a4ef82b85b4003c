import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { TriggerEvent } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { failure } from "../../mesh/errors.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { type HeldTrigger, type TriggerKindName, toHeldTrigger } from "../waiting/held-trigger.ts";
import { triggerAccept, triggerReadOwnPending } from "../waiting/triggers.sql.ts";

/** Most events of one batch. */
export const MAX_BATCH = 1_000;

/** Triggers that are due within this many milliseconds are held in memory. */
export const HORIZON_MS = 10_000;

/** What accepting needs. */
export interface AcceptParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly lease: Lease;
  readonly events: Events;
  /** Holds triggers that this instance owns. A trigger that is held already is not held twice. */
  readonly hold: (triggers: readonly HeldTrigger[]) => void;
}

/**
 * Records a batch of events durably, each once, and holds the triggers that are due soon. Returns how many events were
 * recorded. The others were recorded earlier, or their job has changed since they were made. Throws
 * SERVICE_UNAVAILABLE, or FIELD_INVALID for more than MAX_BATCH events or an invalid event.
 */
export async function acceptEvents(parts: AcceptParts, events: readonly TriggerEvent[]): Promise<number> {
  if (events.length === 0) return 0;
  if (events.length > MAX_BATCH) {
    throw failure("FIELD_INVALID", {
      field: "events",
      problem: `At most ${MAX_BATCH} are allowed; there are ${events.length}.`,
    });
  }
  const triggers = events.map(toTrigger);
  const now = parts.clock.now();
  const instance = parts.lease.instance;
  const rows = await parts.database.query(triggerAccept, [
    ...toColumns(triggers, events),
    instance,
    toSqlTime(now + HORIZON_MS),
    toSqlTime(now),
    toPlainArray(triggers.map(({ previousSkipped }) => previousSkipped)),
    toPlainArray(triggers.map(({ previousMissed }) => previousMissed)),
    events.map(({ zoneDataVersion }) => zoneDataVersion),
  ]);
  const owned = new Set<string>();
  for (const { id, owned: isOwned } of rows) if (isOwned) owned.add(id);
  // If the lease was lost meanwhile, the recorded triggers are released with the others of the old instance id.
  if (instance === parts.lease.instance) parts.hold(triggers.filter(({ id }) => owned.has(id)));
  if (rows.length < events.length) await holdAcceptedBefore(parts, triggers);
  parts.events.emit("accepted", { recorded: rows.length, held: owned.size });
  return rows.length;
}

// An earlier call, whose answer this process never received, may have recorded the same events.
async function holdAcceptedBefore(parts: AcceptParts, triggers: readonly HeldTrigger[]): Promise<void> {
  const times = triggers.map(({ fireTimeMs }) => fireTimeMs);
  const rows = await parts.database.query(triggerReadOwnPending, [
    triggers.map(({ id }) => id),
    toSqlTime(Math.min(...times)),
    toSqlTime(Math.max(...times)),
    parts.lease.instance,
  ]);
  parts.hold(rows.map(toHeldTrigger));
}

function toColumns(triggers: readonly HeldTrigger[], events: readonly TriggerEvent[]) {
  return [
    toPlainArray(triggers.map(({ id }) => id)),
    toTimeArray(triggers.map(({ fireTimeMs }) => fireTimeMs)),
    toTimeArray(triggers.map(({ effectiveTimeMs }) => effectiveTimeMs)),
    toPlainArray(triggers.map(({ projectId }) => projectId)),
    toPlainArray(triggers.map(({ jobUid }) => jobUid)),
    // A name or a payload may be the text null. toPlainArray does not quote it, and PostgreSQL would read it as NULL.
    triggers.map(({ jobName }) => jobName),
    toPlainArray(triggers.map(({ revision }) => revision)),
    toPlainArray(events.map(({ epoch }) => epoch)),
    toPlainArray(triggers.map(({ kind }) => kind)),
    toPlainArray(triggers.map(({ seq }) => seq)),
    toTimeArray(triggers.map(({ previousFireTimeMs }) => previousFireTimeMs)),
    toTimeArray(triggers.map(({ nextFireTimeMs }) => nextFireTimeMs)),
    triggers.map(({ payload }) => payload),
  ];
}

const KINDS: ReadonlyMap<TriggerKind, TriggerKindName> = new Map([
  [TriggerKind.SCHEDULED, "SCHEDULED"],
  [TriggerKind.CATCHUP, "CATCHUP"],
  [TriggerKind.MANUAL, "MANUAL"],
  [TriggerKind.BACKFILL, "BACKFILL"],
]);

function toTrigger(event: TriggerEvent): HeldTrigger {
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
