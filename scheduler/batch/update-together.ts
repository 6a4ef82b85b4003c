import { eachAtOnce } from "../../mesh/batch-error.ts";
import { failure } from "../../mesh/errors.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import type { WrittenJob } from "../changes/create-job.ts";
import {
  type AskedUpdate,
  type PlannedUpdate,
  planUpdate,
  toValidated,
  writeUpdates,
} from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobsByUids } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { changeTogether } from "./change-together.ts";

/** A job, found by its name, and what an update asks for. */
export interface UpdateOfJob extends AskedUpdate {
  readonly uid: string;
}

/**
 * Checks updates without writing anything, and returns the jobs as they would be. Throws one error for all wrong
 * updates, with the index of each in `list`.
 */
export async function validateTogether(
  parts: ChangeParts & Pick<Parts, "database">,
  projectId: string,
  list: string,
  updates: readonly UpdateOfJob[],
): Promise<WrittenJob[]> {
  const { database } = parts;
  const uids = updates.map(({ uid }) => uid);
  const rows = await database.query(jobsByUids, [uids.map(() => projectId), uids]);
  const byUid = new Map(rows.map((row) => [row.uid, row]));
  return eachAtOnce(list, updates, async (update) => {
    const row = byUid.get(update.uid);
    if (row === undefined || row.state === "DELETED") {
      throw failure("JOB_NOT_FOUND", { job: update.given.name });
    }
    return toValidated(await planUpdate(database, parts, row, update));
  });
}

/** Writes updates as `changeTogether` changes jobs, and returns the jobs in the given order. */
export async function updateTogether(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  to: { readonly projectId: string; readonly actor: string; readonly list: string },
  updates: readonly UpdateOfJob[],
): Promise<WrittenJob[]> {
  const { projectId, actor, list } = to;
  const byUid = new Map(updates.map((update) => [update.uid, update]));
  const jobs = updates.map(({ uid, given }) => ({ uid, name: given.name }));
  const rows = await changeTogether(parts, projectId, list, jobs, async (tx, locked) => {
    const plans: PlannedUpdate[] = [];
    for (const row of locked) {
      const update = byUid.get(row.uid);
      if (update !== undefined) plans.push(await planUpdate(tx, parts, row, update));
    }
    return writeUpdates(tx, parts, projectId, plans, actor);
  });
  parts.wake();
  return rows.map((row: JobRow) => ({ row, schedule: parts.schedules.of(row) }));
}
