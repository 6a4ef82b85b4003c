import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  AttemptOutcome,
  type AttemptSchema,
  TriggerKind,
  type TriggerSchema,
  TriggerState,
  WaitingFor,
} from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { traceIdOf } from "../../mesh/trigger-trace.ts";
import type { AttemptTiming } from "../delivery/outcome.ts";
import { parseTimingText } from "../delivery/timing-text.ts";
import { readLateness, toLateness } from "./lateness.ts";
import {
  type AttemptView,
  attemptListByTrigger,
  type LatenessRow,
  type TriggerStateName,
  type TriggerView,
  triggerById,
} from "./reads.sql.ts";

/** Reads one of the project's triggers. Throws TRIGGER_NOT_FOUND. */
export async function readTrigger(database: Queryable, projectId: string, id: string): Promise<TriggerView> {
  const [row] = await database.query(triggerById, [id, projectId]);
  if (row === undefined) throw failure("TRIGGER_NOT_FOUND", { trigger: id });
  return row;
}

/** Reads a trigger's ended attempts. Throws TRIGGER_NOT_FOUND. */
export async function readAttempts(
  database: Queryable,
  projectId: string,
  id: string,
): Promise<AttemptView[]> {
  const trigger = await readTrigger(database, projectId, id);
  return database.query(attemptListByTrigger, [id, toSqlTime(trigger.fire_time)]);
}

const STATES: Readonly<Record<TriggerStateName, TriggerState>> = {
  PENDING: TriggerState.PENDING,
  RUNNING: TriggerState.RUNNING,
  RETRYING: TriggerState.RETRYING,
  ACCEPTED: TriggerState.ACCEPTED,
  SUCCEEDED: TriggerState.SUCCEEDED,
  EXHAUSTED: TriggerState.EXHAUSTED,
  CANCELLED: TriggerState.CANCELLED,
};

/**
 * Returns the name under which a state is stored. A state of a later version has the empty name: no trigger is in it.
 */
export function toStateName(state: TriggerState): TriggerStateName | "" {
  const found = Object.entries(STATES).find(([, value]) => value === state);
  return (found?.[0] as TriggerStateName | undefined) ?? "";
}

/** Converts rows to triggers as customers see them. Reads the lateness of those that were tried again. */
export async function presentTriggers(
  database: Queryable,
  projectId: string,
  rows: readonly TriggerView[],
): Promise<MessageInitShape<typeof TriggerSchema>[]> {
  const lateness = await readLateness(database, projectId, rows);
  return rows.map((row) => toTrigger(row, lateness.get(row.id)));
}

function toTrigger(row: TriggerView, read: LatenessRow | undefined): MessageInitShape<typeof TriggerSchema> {
  const lateness = toLateness(row, read);
  return {
    id: row.id,
    traceId: traceIdOf(row.id),
    job: row.job_name,
    jobUid: row.job_uid,
    revision: row.revision,
    kind: TriggerKind[row.kind],
    state: STATES[row.state],
    nominalTime: timestampFromMs(row.fire_time),
    effectiveTime: timestampFromMs(row.effective_time),
    seq: row.seq,
    attemptCount: row.attempt_count,
    createTime: timestampFromMs(row.create_time),
    zoneDataVersion: row.zone_data,
    ...(row.start_time !== null && { startTime: timestampFromMs(row.start_time) }),
    ...(lateness !== undefined && { lateness }),
    ...(row.end_time !== null && { endTime: timestampFromMs(row.end_time) }),
    ...(row.state === "RETRYING" && { nextAttemptTime: timestampFromMs(row.due_time) }),
    waitingFor: toWaitingFor(row),
    ...(row.state === "ACCEPTED" && { acknowledgeDeadlineTime: timestampFromMs(row.due_time) }),
    // An acknowledgement from before a replay tells nothing about this delivery.
    ...((row.acknowledged_attempt ?? 0) > row.attempt_base && {
      acknowledgementMessage: row.acknowledgement_message ?? "",
    }),
  };
}

// A replay leaves what the trigger waited for earlier in the row, and so does its end.
function toWaitingFor(row: TriggerView): WaitingFor {
  const { state, waiting_for: name, waiting_since: sinceMs, effective_time: effectiveMs } = row;
  if (name === null) return WaitingFor.UNSPECIFIED;
  const isWaiting =
    state === "RETRYING" || (state === "PENDING" && sinceMs !== null && sinceMs >= effectiveMs);
  return isWaiting ? WaitingFor[name] : WaitingFor.UNSPECIFIED;
}

const OUTCOMES: Readonly<Record<AttemptView["outcome"], AttemptOutcome>> = {
  SUCCEEDED: AttemptOutcome.SUCCEEDED,
  REJECTED: AttemptOutcome.REJECTED,
  NOT_SENT: AttemptOutcome.NOT_SENT,
  UNKNOWN: AttemptOutcome.UNKNOWN,
};

/** Converts a row to an attempt as customers see it. */
export function toAttempt(row: AttemptView): MessageInitShape<typeof AttemptSchema> {
  return {
    id: row.id,
    number: row.number,
    outcome: OUTCOMES[row.outcome],
    startTime: timestampFromMs(row.start_time),
    duration: durationFromMs(row.duration_ms),
    statusCode: row.status_code ?? 0,
    error: row.error,
    responseBody: row.response_body,
    ...(row.timing !== null && toDurations(parseTimingText(row.timing))),
    ...(row.response_headers !== null && {
      responseHeaders: JSON.parse(row.response_headers) as Record<string, string>,
    }),
  };
}

function toDurations(timing: AttemptTiming): MessageInitShape<typeof AttemptSchema> {
  const { isReused, dnsMs, connectMs, tlsMs, firstByteMs } = timing;
  return {
    connectionReused: isReused,
    ...(dnsMs !== undefined && { dnsDuration: durationFromMs(dnsMs) }),
    ...(connectMs !== undefined && { connectDuration: durationFromMs(connectMs) }),
    ...(tlsMs !== undefined && { tlsDuration: durationFromMs(tlsMs) }),
    ...(firstByteMs !== undefined && { firstByteDuration: durationFromMs(firstByteMs) }),
  };
}
