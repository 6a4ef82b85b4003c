import { readCarry } from "./carry.ts";
import type { JobRow } from "./job.ts";

/**
 * Tells whether the scheduler has still to decide a fire time of a job: the fire time is at the cursor, after it, or
 * waits. A pause that ends by itself counts as a cursor at its end.
 */
export function isUndecided(
  row: Pick<JobRow, "state" | "next_fire_time" | "pause_until" | "carry">,
  fireTimeMs: number,
): boolean {
  const resumeMs = row.state === "PAUSED" ? row.pause_until : null;
  const fromMs = row.next_fire_time ?? resumeMs ?? Number.POSITIVE_INFINITY;
  return fireTimeMs >= fromMs || readCarry(row.carry).waiting.includes(fireTimeMs);
}
