import { randomUUID } from "node:crypto";
import { type RunJobRequest, RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { Trigger } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { pause } from "../../mesh/pause.ts";
import { manualEvent, type TriggerEventInit } from "../job/chain.ts";
import { type JobRow, payloadOf } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { throwIfRefused } from "../turns/hand-over.ts";

/** How often a run is tried, because the job can change while its trigger is being handed over. */
const TRIES = 5;
/** The pause before the next try when a change had locked the job. */
const LOCKED_PAUSE_MS = 50;

/**
 * Creates one trigger now, whatever the job's schedule. A repeated request id returns the same trigger, because the
 * nominal time is stored before the trigger is handed over. Throws JOB_NOT_FOUND, REQUEST_ID_REUSED, and
 * SERVICE_UNAVAILABLE when the job keeps changing meanwhile.
 */
export async function runJob(
  parts: Pick<Parts, "database" | "dispatcher" | "handOver" | "zoneData" | "clock">,
  projectId: string,
  request: RunJobRequest,
): Promise<Trigger> {
  const requestId = request.requestId === "" ? randomUUID() : request.requestId;
  const fingerprint = fingerprintOf(RunJobRequestSchema, request);
  const use: RequestUse = { projectId, requestId, fingerprint };
  const { payloadJson } = payloadOf(request);
  for (let left = TRIES; left > 0; left--) {
    const row = await readJob(parts, projectId, request);
    const nominalTimeMs = await nominalTimeOf(parts, row, use);
    const zoneData = parts.zoneData.inForce(nominalTimeMs).version;
    const event = manualEvent(row, { nominalTimeMs, requestId, payloadJson, zoneData });
    if (!(await isHandedOver(parts, event))) {
      await pause(LOCKED_PAUSE_MS);
      continue;
    }
    const trigger = await findTrigger(parts, projectId, event.triggerId);
    if (trigger !== undefined) return trigger;
  }
  throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 100 });
}

/** Returns false if the trigger can be handed over a moment later. Throws if it cannot be recorded. */
async function isHandedOver(parts: Pick<Parts, "handOver">, event: TriggerEventInit): Promise<boolean> {
  const refused = await parts.handOver.send([event]);
  if (refused.some(({ isTransient }) => isTransient)) return false;
  throwIfRefused(refused);
  return true;
}

async function nominalTimeOf(
  parts: Pick<Parts, "database" | "clock">,
  row: JobRow,
  use: RequestUse,
): Promise<number> {
  const nowMs = parts.clock.now();
  if (await rememberUse(parts.database, use, { jobUid: row.uid, fireTimeMs: nowMs, nowMs })) return nowMs;
  const earlier = await findEarlierUse(parts.database, use);
  // The request id was used for a deleted job of the same name. A trigger of this job would be another one.
  if (earlier !== undefined && earlier.job_uid !== row.uid) {
    throw failure("REQUEST_ID_REUSED", { requestId: use.requestId });
  }
  return earlier?.fire_time ?? nowMs;
}

// Returns undefined if the dispatcher did not record the trigger: the job changed after it was read here, so the
// dispatcher refused the old epoch.
async function findTrigger(
  parts: Pick<Parts, "dispatcher">,
  projectId: string,
  id: string,
): Promise<Trigger | undefined> {
  try {
    const answer = await parts.dispatcher.getTrigger({ projectId, request: { id } });
    return answer.response?.trigger;
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "TRIGGER_NOT_FOUND") return undefined;
    throw error;
  }
}
