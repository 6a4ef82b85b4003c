import { statement } from "../../db/statement.ts";

/**
 * Makes those of the jobs $1 due at $2 that wait for the end of a trigger. Returns the jobs that were looked at. The
 * others were locked, and must be asked about again.
 */
export const jobWakeWaiting = statement<{ uid: string }>(
  "jobWakeWaiting",
  `select uid from scheduler.wake_waiting($1::text[], $2) as looked (uid)`,
);
