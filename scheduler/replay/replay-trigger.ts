import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Trigger } from "../../gen/easycron/v1/trigger_pb.ts";
import {
  type ReplayTriggerRequest,
  ReplayTriggerRequestSchema,
} from "../../gen/easycron/v1/trigger_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { lockJobs } from "../changes/lock-job.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { replayFind, replayTriggers } from "./replays.sql.ts";

/** The states in which a trigger has ended, without having succeeded. */
const FAILED = ["EXHAUSTED", "CANCELLED"];

/**
 * Makes a trigger that has ended due again, under the same id and the job's present revision, and returns it. It is one
 * transaction that locks the job, so two calls at once cannot both find the trigger ended. A repeated request id changes
 * nothing and returns the trigger as it is.
 *
 * Throws TRIGGER_NOT_FOUND; TRIGGER_NOT_REPLAYABLE when the trigger has not ended, when it has succeeded and `force` is not
 * set, or when its job is deleted; REQUEST_ID_REUSED. Throws SERVICE_UNAVAILABLE when no dispatcher can be asked for the
 * trigger. It may have been made due again then; the same request id tells.
 */
export async function replayTrigger(
  parts: Pick<Parts, "database" | "dispatcher" | "clock">,
  projectId: string,
  request: ReplayTriggerRequest,
): Promise<Trigger> {
  const { id, requestId } = request;
  const use = { projectId, requestId, fingerprint: fingerprintOf(ReplayTriggerRequestSchema, request) };
  if ((await findEarlierUse(parts.database, use)) === undefined) {
    const isFirst = await parts.database.transaction((tx) => replayOnce(parts, tx, use, request));
    // Another call with the same request id was first. It must have been the same request.
    if (!isFirst) await findEarlierUse(parts.database, use);
  }
  const { response } = await parts.dispatcher.getTrigger({ projectId, request: { id } });
  if (response?.trigger === undefined) throw failure("TRIGGER_NOT_FOUND", { trigger: id });
  return response.trigger;
}

/** Replays the trigger. Returns false, and changes nothing, if the request id has been used meanwhile. */
async function replayOnce(
  parts: Pick<Parts, "clock">,
  tx: Queryable,
  use: RequestUse,
  { id, force }: ReplayTriggerRequest,
): Promise<boolean> {
  const { projectId } = use;
  const [found] = await tx.query(replayFind, [projectId, id]);
  if (found === undefined) throw failure("TRIGGER_NOT_FOUND", { trigger: id });
  const job = (await lockJobs(tx, projectId, [found.job_uid])).get(found.job_uid);
  if (job === undefined) {
    const problem = `its job "${found.job_name}" is deleted. Create a job, and run that one.`;
    throw failure("TRIGGER_NOT_REPLAYABLE", { trigger: id, problem });
  }
  const nowMs = parts.clock.now();
  const effect = { jobUid: job.uid, fireTimeMs: found.fire_time, nowMs };
  if (!(await rememberUse(tx, use, effect))) return false;
  const [replayed] = await tx.query(replayTriggers, [
    projectId,
    [id],
    [toSqlTime(found.fire_time)],
    [job.revision],
    [job.name],
    force ? [...FAILED, "SUCCEEDED"] : FAILED,
    "infinity",
    toSqlTime(nowMs),
  ]);
  if (replayed === undefined) {
    const [present] = await tx.query(replayFind, [projectId, id]);
    throw failure("TRIGGER_NOT_REPLAYABLE", { trigger: id, problem: problemOf(present?.state ?? "") });
  }
  return true;
}

function problemOf(state: string): string {
  return state === "SUCCEEDED"
    ? "it has SUCCEEDED. Set force to deliver it again."
    : `it is ${state}. Wait until it has ended.`;
}
