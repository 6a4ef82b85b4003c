import { createHash } from "node:crypto";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { ListJobsRequest } from "../../gen/easycron/v1/job_service_pb.ts";
import { jobsOfProject } from "../job/jobs.sql.ts";
import { fittingPage } from "../requests/fitting-page.ts";
import { findJobs } from "./find-jobs.ts";
import { parseJobFilter } from "./job-filter.ts";
import { readOrder, readToken, toToken } from "./job-order.ts";
import { type PresentParts, presentJobs } from "./read-jobs.ts";

const DEFAULT_PAGE_SIZE = 50;

/**
 * Returns a page of the jobs that match the filter, in the requested order. A page may have fewer jobs than asked for, or
 * none, although there are more: then it has a token. Throws FIELD_INVALID, PAGE_TOKEN_INVALID.
 */
export async function listJobs(
  parts: PresentParts,
  projectId: string,
  request: ListJobsRequest,
): Promise<{ jobs: Job[]; nextPageToken: string }> {
  const filter = parseJobFilter(request.filter);
  const order = readOrder(request.orderBy);
  const list = listOf(request);
  const after = readToken(list, order, request.pageToken);
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const search = { projectId, filter, order, after, size, nowMs: parts.clock.now() };
  const { rows: listed, lookedUntil } = await findJobs(parts.database, search);
  const uids = listed.map(({ uid }) => uid);
  const found = uids.length === 0 ? [] : await parts.database.query(jobsOfProject, [projectId, uids]);
  const byUid = new Map(found.map((row) => [row.uid, row]));
  const rows = uids.flatMap((uid) => byUid.get(uid) ?? []);
  const page = fittingPage(rows);
  const last = page.length < rows.length ? listed.find(({ uid }) => uid === page.at(-1)?.uid) : lookedUntil;
  return {
    jobs: await presentJobs(
      parts,
      page.map((row) => ({ row })),
    ),
    nextPageToken: last === undefined ? "" : toToken(list, order, last),
  };
}

// A page token is only valid for the filter and the order that it was issued for.
function listOf({ filter, orderBy }: ListJobsRequest): string {
  if (filter === "" && orderBy === "") return "jobs";
  const digest = createHash("sha256").update(JSON.stringify([filter, orderBy]));
  return `jobs/${digest.digest("base64url").slice(0, 12)}`;
}
