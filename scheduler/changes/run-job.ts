import { randomUUID } from "node:crypto";
import { toJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type RunJobRequest, RunJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { Trigger } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { manualEvent } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";

/** How often a run is made again because the job changed while it was handed over. */
const TRIES = 5;

/**
 * Makes one trigger now. The same request id gives the same trigger: its nominal time is remembered before it is
 * handed over. Throws JOB_NOT_FOUND, REQUEST_ID_REUSED, SERVICE_UNAVAILABLE.
 */
export async function runJob(
  parts: Pick<Parts, "database" | "dispatcher" | "handOver" | "zoneData" | "clock">,
  projectId: string,
  request: RunJobRequest,
): Promise<Trigger> {
  const requestId = request.requestId === "" ? randomUUID() : request.requestId;
  const fingerprint = fingerprintOf(RunJobRequestSchema, request);
  const use: RequestUse = { projectId, requestId, fingerprint };
  const payloadJson = request.payload === undefined ? undefined : toJsonString(ValueSchema, request.payload);
  for (let left = TRIES; left > 0; left--) {
    const row = await readJob(parts, projectId, request);
    const nominalTimeMs = await nominalTimeOf(parts, row, use);
    const zoneData = parts.zoneData.inForce(nominalTimeMs).version;
    const event = manualEvent(row, { nominalTimeMs, requestId, payloadJson, zoneData });
    await parts.handOver.send([event]);
    const trigger = await findTrigger(parts, projectId, event.triggerId);
    if (trigger !== undefined) return trigger;
  }
  throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 100 });
}

async function nominalTimeOf(
  parts: Pick<Parts, "database" | "clock">,
  row: JobRow,
  use: RequestUse,
): Promise<number> {
  const nowMs = parts.clock.now();
  if (await rememberUse(parts.database, use, { jobUid: row.uid, fireTimeMs: nowMs, nowMs })) return nowMs;
  const earlier = await findEarlierUse(parts.database, use);
  // The id was used for a deleted job of the same name, whose trigger another would not be.
  if (earlier !== undefined && earlier.job_uid !== row.uid) {
    throw failure("REQUEST_ID_REUSED", { requestId: use.requestId });
  }
  return earlier?.fire_time ?? nowMs;
}

// Not there: the job changed between our reading and the dispatcher's recording, which refused the old epoch.
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
