import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failingJobsRestart } from "../job/failing-jobs.sql.ts";
import type { PreparedJob } from "./change-job.ts";

/** Makes the count of exhausted triggers of locked jobs start anew: what ended before the change does not count. */
export async function restartCounts(tx: Queryable, prepared: readonly PreparedJob[]): Promise<void> {
  const [first] = prepared;
  if (first === undefined) return;
  const rows = prepared.map(({ row }) => row);
  await tx.query(failingJobsRestart, [
    rows.map(({ uid }) => uid),
    rows.map(({ project_id: projectId }) => projectId),
    toSqlTime(first.changeTimeMs),
  ]);
}
