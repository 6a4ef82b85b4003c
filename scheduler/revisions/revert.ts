import { create } from "@bufbuild/protobuf";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { RevertJobRequest } from "../../gen/easycron/v1/revision_pb.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import type { WrittenJob } from "../changes/create-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { Parts } from "../parts.ts";
import { findRevision } from "./read.ts";

/**
 * Adds a revision with the specification of an earlier one, by an update of every field. Adds none if that specification
 * is already in effect. Throws JOB_NOT_FOUND, REVISION_NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED, and
 * CALENDAR_NOT_FOUND when the specification names a calendar that has been deleted since. `actor` is the API key's id.
 */
export async function revertJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: RevertJobRequest,
  actor: string,
): Promise<WrittenJob> {
  const { job } = await findRevision(parts, projectId, request);
  const { etag, requestId, validateOnly } = request;
  const update = create(UpdateJobRequestSchema, { updateMask: { paths: ["*"] }, requestId, validateOnly });
  if (job !== undefined) {
    job.etag = etag;
    update.job = job;
  }
  return updateJob(parts, projectId, update, actor);
}
