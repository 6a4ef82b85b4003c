import type { JobRow } from "../job/job.ts";
import { triggerId } from "../job/trigger-id.ts";
import type { SchedulerBench } from "./bench.ts";

/** The ends of triggers of one job. */
export interface ToldEnds {
  readonly kind: "EXHAUSTED" | "GONE" | "RECEIVER";
  /** When they ended, in epoch milliseconds; each is the fire time too. */
  readonly endsMs: readonly number[];
  /** The revision that they were delivered by; the job's present one if it is left out. */
  readonly revision?: number;
}

/** Tells the scheduler of the ends of triggers, as a dispatcher does. */
export function tellEnds(
  bench: SchedulerBench,
  row: JobRow,
  { kind, endsMs, revision = row.revision }: ToldEnds,
): Promise<void> {
  return bench.spoil(
    "dispatcher",
    `insert into dispatcher.signals (end_time, trigger_id, project_id, job_uid, fire_time, revision, kind)
     select end_time, trigger_id, $3, $4, end_time, $5, $6
       from unnest($1::timestamptz[], $2::text[]) as told (end_time, trigger_id)`,
    [
      endsMs.map((endMs) => new Date(endMs).toISOString()),
      endsMs.map((endMs) => triggerId(row.uid, endMs)),
      row.project_id,
      row.uid,
      revision,
      kind,
    ],
  );
}
