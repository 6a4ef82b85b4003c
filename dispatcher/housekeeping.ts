import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import { partitionEnsure } from "./housekeeping.sql.ts";

const MONTH_MS = 31 * 86_400_000;
const MONTHS = 5;

/** Time between two calls of `ensurePartitions`. */
export const PARTITIONS_EVERY_MS = 86_400_000;

/**
 * Makes the missing partitions of last month, this month and the next three months. Rows of other months go to the
 * default partitions. Throws SERVICE_UNAVAILABLE.
 */
export async function ensurePartitions(database: Database, nowMs: number): Promise<void> {
  await database.query(partitionEnsure, [toSqlTime(nowMs - MONTH_MS), MONTHS]);
}
