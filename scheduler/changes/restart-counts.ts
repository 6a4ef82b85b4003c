import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failingJobsRestart } from "../job/failing-jobs.sql.ts";
import type { PreparedJob } from "./change-job.ts";

/**
 * Makes the count of exhausted triggers of locked jobs start anew: what ended before the change does not count. With
 * `isOtherTarget`, the change adds a revision with another target. What earlier revisions deliver does not count then,
 * however late it ends.
 */
export async function restartCounts(
  tx: Queryable,
  prepared: readonly PreparedJob[],
  { isOtherTarget }: { readonly isOtherTarget: boolean },
): Promise<void> {
  const [first] = prepared;
  if (first === undefined) return;
  const rows = prepared.map(({ row }) => row);
  await tx.query(failingJobsRestart, [
    rows.map(({ uid }) => uid),
    rows.map(({ project_id: projectId }) => projectId),
    toSqlTime(first.changeTimeMs),
    rows.map(({ revision }) => (isOtherTarget ? revision + 1 : 0)),
  ]);
}
