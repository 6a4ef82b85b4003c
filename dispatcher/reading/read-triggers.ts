import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  AttemptOutcome,
  type AttemptSchema,
  TriggerKind,
  type TriggerSchema,
  TriggerState,
} from "../../gen/easycron/v1/trigger_pb.ts";
import type { ListTriggersRequest } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { readTriggerPageToken, toTriggerPageToken } from "./page-token.ts";
import {
  type AttemptView,
  attemptListByTrigger,
  type TriggerStateName,
  type TriggerView,
  triggerById,
  triggerListByJobs,
  triggerListByProject,
} from "./reads.sql.ts";

const DEFAULT_PAGE_SIZE = 50;
const FIRST_TIME = "-infinity";
const LAST_TIME = "infinity";

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

/** Which triggers to list, and which page of them. */
export interface TriggerQuery {
  readonly projectId: string;
  readonly request: ListTriggersRequest;
  /** The jobs that `request.job` names. */
  readonly jobUids: readonly string[];
}

/** Reads a page of the project's triggers, newest nominal time first. Throws PAGE_TOKEN_INVALID. */
export async function listTriggers(
  database: Queryable,
  { projectId, request, jobUids }: TriggerQuery,
): Promise<{ triggers: TriggerView[]; nextPageToken: string }> {
  const { job, state, startTime, endTime, pageToken } = request;
  const start = toSqlBound(startTime, FIRST_TIME);
  const end = toSqlBound(endTime, LAST_TIME);
  const list = ["triggers", projectId, job, state, start, end];
  const after = pageToken === "" ? undefined : readTriggerPageToken(list, pageToken);
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const values = [
    projectId,
    state === TriggerState.UNSPECIFIED ? null : stateName(state),
    start,
    end,
    after === undefined ? LAST_TIME : toSqlTime(after.fireTimeMs),
    after?.id ?? "",
    size + 1,
  ];
  const rows =
    job === ""
      ? await database.query(triggerListByProject, values)
      : await database.query(triggerListByJobs, [...values, jobUids]);
  const triggers = rows.slice(0, size);
  const last = triggers.at(-1);
  const isMore = rows.length > size && last !== undefined;
  return {
    triggers,
    nextPageToken: isMore ? toTriggerPageToken(list, { fireTimeMs: last.fire_time, id: last.id }) : "",
  };
}

function toSqlBound(time: Timestamp | undefined, otherwise: string): string {
  return time === undefined ? otherwise : toSqlTime(timestampMs(time));
}

const STATES: Readonly<Record<TriggerStateName, TriggerState>> = {
  PENDING: TriggerState.PENDING,
  RUNNING: TriggerState.RUNNING,
  RETRYING: TriggerState.RETRYING,
  SUCCEEDED: TriggerState.SUCCEEDED,
  EXHAUSTED: TriggerState.EXHAUSTED,
  CANCELLED: TriggerState.CANCELLED,
};

function stateName(state: TriggerState): string {
  const found = Object.entries(STATES).find(([, value]) => value === state);
  // A state of a later version. No trigger has the empty state, so the list is empty.
  return found?.[0] ?? "";
}

/** Converts a row to a trigger as customers see it. */
export function toTrigger(row: TriggerView): MessageInitShape<typeof TriggerSchema> {
  return {
    id: row.id,
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
    ...(row.start_time !== null && {
      startTime: timestampFromMs(row.start_time),
      lateness: durationFromMs(Math.max(0, row.start_time - row.effective_time)),
    }),
    ...(row.end_time !== null && { endTime: timestampFromMs(row.end_time) }),
    ...(row.state === "RETRYING" && { nextAttemptTime: timestampFromMs(row.due_time) }),
  };
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
  };
}
