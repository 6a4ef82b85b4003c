import { timestampMs } from "@bufbuild/protobuf/wkt";
import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Operation } from "../../gen/easycron/v1/operation_pb.ts";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import {
  type ReplayTriggersRequest,
  ReplayTriggersRequestSchema,
} from "../../gen/easycron/v1/trigger_service_pb.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { getOperation } from "../backfill/operations.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { replayCount, replayCountRunning, replayInsert, replayLockProject } from "./replays.sql.ts";

/** The most triggers of one replay. */
export const MAX_REPLAY_TRIGGERS = 100_000;
/** The most replays of one project that run at once. */
export const MAX_RUNNING_REPLAYS = 5;
const DEFAULT_PER_SECOND = 100;

interface Choice {
  /** Null for the whole project. */
  readonly jobUid: string | null;
  readonly state: "EXHAUSTED" | "CANCELLED";
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Starts a replay of triggers that have ended, and returns its operation. A repeated request id returns the same operation.
 *
 * Throws JOB_NOT_FOUND; FIELD_INVALID for another state, and for a range that ends before it starts or holds more than 100,000 such triggers;
 * OPERATION_LIMIT_REACHED when five replays of the project are running; REQUEST_ID_REUSED.
 */
export async function replayTriggers(
  parts: Pick<Parts, "database" | "clock">,
  projectId: string,
  request: ReplayTriggersRequest,
): Promise<Operation> {
  const nowMs = parts.clock.now();
  const { requestId } = request;
  const use = { projectId, requestId, fingerprint: fingerprintOf(ReplayTriggersRequestSchema, request) };
  const earlier = await findEarlierUse(parts.database, use);
  if (earlier !== undefined) return getOperation(parts, projectId, earlier.operation_uid ?? "");
  const job = request.job === "" ? undefined : await readJob(parts, projectId, { name: request.job });
  const choice: Choice = {
    jobUid: job?.uid ?? null,
    state: readState(request.state),
    ...readRange(request, nowMs),
  };
  const count = await countTriggers(parts.database, projectId, choice);
  const uid = typeid("op").toString();
  const maxPerSecond = request.maxPerSecond === 0 ? DEFAULT_PER_SECOND : request.maxPerSecond;
  const isFirst = await parts.database.transaction((tx) =>
    start(tx, use, { uid, choice, count, maxPerSecond, nowMs }),
  );
  return isFirst ? getOperation(parts, projectId, uid) : replayTriggers(parts, projectId, request);
}

function readState(state: TriggerState): Choice["state"] {
  if (state === TriggerState.UNSPECIFIED || state === TriggerState.EXHAUSTED) return "EXHAUSTED";
  if (state === TriggerState.CANCELLED) return "CANCELLED";
  const name = Object.entries(TriggerState).find(([, value]) => value === state)?.[0] ?? "";
  const problem = `It is TRIGGER_STATE_${name}. It must be TRIGGER_STATE_EXHAUSTED or TRIGGER_STATE_CANCELLED. A trigger that has succeeded is replayed by ReplayTrigger with force.`;
  throw fieldFailure("FIELD_INVALID", "state", problem);
}

function readRange(
  { startTime, endTime }: ReplayTriggersRequest,
  nowMs: number,
): Pick<Choice, "startMs" | "endMs"> {
  const startMs = startTime === undefined ? 0 : timestampMs(startTime);
  const endMs = endTime === undefined ? nowMs : timestampMs(endTime);
  if (endMs <= startMs) {
    const problem = `It is ${toIso(endMs)}. It must be later than startTime (${toIso(startMs)}).`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  return { startMs, endMs };
}

async function countTriggers(on: Queryable, projectId: string, choice: Choice): Promise<number> {
  const { jobUid, state, startMs, endMs } = choice;
  const range = [toSqlTime(startMs), toSqlTime(endMs)];
  const values = [projectId, jobUid, state, ...range, MAX_REPLAY_TRIGGERS + 1];
  const [row] = await on.query(replayCount, values);
  const count = row?.count ?? 0;
  if (count > MAX_REPLAY_TRIGGERS) {
    const problem = `There are more than ${MAX_REPLAY_TRIGGERS} ${state} triggers before ${toIso(endMs)}, the most of one replay. Choose an earlier end or a later start, and replay the rest afterwards.`;
    throw fieldFailure("FIELD_INVALID", "endTime", problem);
  }
  return count;
}

interface Start {
  readonly uid: string;
  readonly choice: Choice;
  readonly count: number;
  readonly maxPerSecond: number;
  readonly nowMs: number;
}

/** Returns false, and changes nothing, if the request id has been used meanwhile. */
async function start(
  tx: Queryable,
  use: RequestUse,
  { uid, choice, count, maxPerSecond, nowMs }: Start,
): Promise<boolean> {
  const { projectId } = use;
  if (!(await rememberUse(tx, use, { jobUid: choice.jobUid ?? "", operationUid: uid, nowMs }))) return false;
  await tx.query(replayLockProject, [projectId]);
  const [running] = await tx.query(replayCountRunning, [projectId]);
  if ((running?.count ?? 0) >= MAX_RUNNING_REPLAYS) {
    throw failure("OPERATION_LIMIT_REACHED", { limit: `${MAX_RUNNING_REPLAYS}` });
  }
  await tx.query(replayInsert, [
    uid,
    projectId,
    choice.jobUid,
    toSqlTime(choice.startMs),
    toSqlTime(choice.endMs),
    maxPerSecond,
    count,
    choice.state,
    toSqlTime(nowMs),
  ]);
  return true;
}
