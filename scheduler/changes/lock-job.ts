import type { Queryable } from "../../db/pool.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { etagOf, type JobRow } from "../job/job.ts";
import { jobByUid, jobLockForHandOver, jobsByUids, jobsLockForHandOver } from "../job/jobs.sql.ts";

/** The name of a job, and optionally the etag that it must have. */
export interface JobReference {
  readonly projectId: string;
  readonly name: string;
  /** If not empty, the job must still have this etag. */
  readonly etag?: string;
}

/** Locks the project's job of a name and returns its row. Throws JOB_NOT_FOUND (also if deleted) or ETAG_MISMATCH. */
export async function lockJob(tx: Queryable, reference: JobReference): Promise<JobRow> {
  const [locked] = await tx.query(jobLockForHandOver, [reference.projectId, reference.name]);
  const [row] = locked === undefined ? [] : await tx.query(jobByUid, [reference.projectId, locked.uid]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: reference.name });
  checkEtag(row, reference.etag ?? "");
  return row;
}

/** Checks that a job has an etag. An empty one is not checked. Throws ETAG_MISMATCH. */
export function checkEtag(row: JobRow, etag: string): void {
  if (etag === "" || etag === etagOf(row)) return;
  throw failure("ETAG_MISMATCH", { name: row.name, given: etag, current: etagOf(row) });
}

/**
 * Locks jobs of a project by uid, in two statements, and returns their rows by uid. A job that does not exist any more is
 * left out.
 */
export async function lockJobs(
  tx: Queryable,
  projectId: string,
  uids: readonly string[],
): Promise<Map<string, JobRow>> {
  const locked = await tx.query(jobsLockForHandOver, [projectId, uids]);
  const found = locked.map(({ uid }) => uid);
  const rows = await tx.query(jobsByUids, [found.map(() => projectId), found]);
  return new Map(rows.map((row) => [row.uid, row]));
}

/** Locks a job and returns its row. Returns undefined if there is no such job any more. */
export async function lockIfLiving(
  tx: Queryable,
  { project_id: projectId, name }: { readonly project_id: string; readonly name: string },
): Promise<JobRow | undefined> {
  try {
    return await lockJob(tx, { projectId, name });
  } catch (error) {
    if (error instanceof EasyCronError && error.reason === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}
