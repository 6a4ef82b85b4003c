import { readCarry } from "./carry.ts";
import type { JobRow } from "./job.ts";

/** Whether a job itself is still to decide a fire time: it is at the cursor or after it, or waits. */
export function isUndecided(
  row: Pick<JobRow, "state" | "next_fire_time" | "pause_until" | "carry">,
  fireTimeMs: number,
): boolean {
  const resumeMs = row.state === "PAUSED" ? row.pause_until : null;
  const fromMs = row.next_fire_time ?? resumeMs ?? Number.POSITIVE_INFINITY;
  return fireTimeMs >= fromMs || readCarry(row.carry).waiting.includes(fireTimeMs);
}
