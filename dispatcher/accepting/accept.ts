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

/** Largest number of events in one batch. */
export const MAX_BATCH = 1_000;

/** What is due within this many milliseconds is held in memory. */
export const HORIZON_MS = 10_000;

/** What acceptance needs. */
export interface AcceptParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly lease: Lease;
  readonly events: Events;
  /** Holds triggers that this process owns; those held already are left alone. */
  readonly hold: (triggers: readonly HeldTrigger[]) => void;
}

/**
 * Records a batch of events durably, each once, and holds what is due soon. Returns how many were recorded; the
 * others were there already, or their job has changed since. Throws SERVICE_UNAVAILABLE, or FIELD_INVALID for an event
 * that cannot be one.
 */
export async function acceptEvents(parts: AcceptParts, events: readonly TriggerEvent[]): Promise<number> {
  if (events.length === 0) return 0;
  if (events.length > MAX_BATCH) {
    throw failure("FIELD_INVALID", { field: "events", problem: `At most ${MAX_BATCH} are taken at once.` });
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
  // The instance may have changed meanwhile: then what was recorded is freed with it.
  if (instance === parts.lease.instance) parts.hold(triggers.filter(({ id }) => owned.has(id)));
  if (rows.length < events.length) await holdAcceptedBefore(parts, triggers);
  parts.events.emit("accepted", { recorded: rows.length, held: owned.size });
  return rows.length;
}

// The same events may have been recorded by an earlier call whose answer this process never got.
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
    // A name or a payload may be the word null, which needs quotes.
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
    throw failure("FIELD_INVALID", { field: "events.kind", problem: `${event.kind} is no kind of trigger.` });
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
  throw failure("FIELD_INVALID", { field: `events.${field}`, problem: `"${id}" is no id.` });
}
