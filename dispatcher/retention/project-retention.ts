import type { Queryable } from "../../db/pool.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { type RetentionRow, retentionRead, retentionSetDays } from "./retention.sql.ts";

/** For how many days a project keeps its triggers if it says nothing. The same number is in the migration. */
const DEFAULT_DAYS = 30;
const MAX_DAYS = 400;

/** Reads for how long the triggers of a project are kept. */
export async function readRetention(on: Queryable, projectId: string): Promise<RetentionRow> {
  const [row] = await on.query(retentionRead, [projectId]);
  return row ?? { days: DEFAULT_DAYS, floor_time: null };
}

/**
 * Sets for how many days the triggers of a project are kept: 1 to 400, 0 for the default. Returns what holds then, with the
 * floor, which stays where it is. Throws FIELD_INVALID.
 */
export async function setRetention(on: Queryable, projectId: string, days: number): Promise<RetentionRow> {
  if (days > MAX_DAYS) {
    const problem = `It is ${days}. It must be 1 to ${MAX_DAYS}, or 0 for ${DEFAULT_DAYS}.`;
    throw fieldFailure("FIELD_INVALID", "project.retentionDays", problem);
  }
  const [row] = await on.query(retentionSetDays, [projectId, days === 0 ? DEFAULT_DAYS : days]);
  return row ?? readRetention(on, projectId);
}
