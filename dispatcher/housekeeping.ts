import type { Database } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import { partitionEnsure } from "./housekeeping.sql.ts";

const MONTH_MS = 31 * 86_400_000;
const MONTHS = 5;

/** How often `ensurePartitions` is to be called. */
export const PARTITIONS_EVERY_MS = 86_400_000;

/** Makes the partitions of last month, this month and the next three. What lies outside goes to the default ones. */
export async function ensurePartitions(database: Database, nowMs: number): Promise<void> {
  await database.query(partitionEnsure, [toSqlTime(nowMs - MONTH_MS), MONTHS]);
}
