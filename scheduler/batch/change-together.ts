import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { type ItemError, throwIfAny } from "../../mesh/batch-error.ts";
import { EasyCronError, failure } from "../../mesh/errors.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { lockJobs } from "../changes/lock-job.ts";
import type { JobRow } from "../job/job.ts";
import type { Parts } from "../parts.ts";

/**
 * The most jobs that one transaction changes. Their rows stay locked until it ends, which must be well within the
 * look-ahead.
 */
const AT_ONCE = 100;

/** A job that is to be changed. */
interface ChosenJob {
  readonly uid: string;
  readonly name: string;
}

/**
 * Changes jobs of a project, at most 100 in one transaction, and returns their new rows in the given order. `change` is
 * called with locked rows and returns one row for each, in their order.
 *
 * If the change of a job fails, the other jobs of its transaction are changed without it. At the end, one error for all
 * failed jobs is thrown, with the index of each in `list`; JOB_NOT_FOUND for a job that has been deleted meanwhile.
 * Throws SERVICE_UNAVAILABLE at once when the database or a dispatcher cannot be reached. What was changed stays changed.
 */
export async function changeTogether(
  parts: Pick<Parts, "database">,
  projectId: string,
  list: string,
  jobs: readonly ChosenJob[],
  change: (tx: Queryable, rows: readonly JobRow[]) => Promise<readonly JobRow[]>,
): Promise<JobRow[]> {
  const changed = new Map<string, JobRow>();
  const errors = new Map<string, EasyCronError>();
  const changePart = async (part: readonly ChosenJob[]): Promise<void> => {
    const uids = part.map(({ uid }) => uid);
    const written = await parts.database.transaction(async (tx) => {
      const rows = await lockJobs(tx, projectId, uids);
      return change(
        tx,
        uids.flatMap((uid) => rows.get(uid) ?? []),
      );
    });
    for (const row of written) changed.set(row.uid, row);
  };
  for (let from = 0; from < jobs.length; from += AT_ONCE) {
    const part = jobs.slice(from, from + AT_ONCE);
    const { failed } = await takeApart(part, changePart, { isItemFault: isFaultOfJob });
    for (const { item, error } of failed) errors.set(item.uid, EasyCronError.from(error));
  }
  throwIfAny(list, itemErrors(jobs, changed, errors));
  return jobs.flatMap(({ uid }) => changed.get(uid) ?? []);
}

// The scheduler itself is unavailable only for a job whose backlog is too long.
function isFaultOfJob(error: unknown): boolean {
  return isItemFault(error) || (error instanceof EasyCronError && error.metadata.service === "scheduler");
}

function itemErrors(
  jobs: readonly ChosenJob[],
  changed: ReadonlyMap<string, JobRow>,
  errors: ReadonlyMap<string, EasyCronError>,
): ItemError[] {
  return jobs.flatMap(({ uid, name }, index) => {
    if (changed.has(uid)) return [];
    return { index, error: errors.get(uid) ?? failure("JOB_NOT_FOUND", { job: name }) };
  });
}
