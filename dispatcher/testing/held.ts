import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { type Ground, randomId } from "./ground.ts";

/** A held trigger that is due at an instant (epoch milliseconds) and has had no attempt. */
export function heldTrigger(atMs: number, change: Partial<HeldTrigger> = {}): HeldTrigger {
  return {
    id: randomId("trg"),
    fireTimeMs: atMs,
    effectiveTimeMs: atMs,
    projectId: "proj_1",
    jobUid: "job_1",
    jobName: "job",
    revision: 1,
    kind: "SCHEDULED",
    seq: 1,
    previousFireTimeMs: null,
    nextFireTimeMs: null,
    previousSkipped: 0,
    previousMissed: 0,
    payload: null,
    dueTimeMs: atMs,
    attemptCount: 0,
    attemptBase: 0,
    waitingFor: null,
    waitingSinceMs: null,
    ...change,
  };
}

/** Makes every change of a row of dispatcher.triggers fail that belongs to a job, as if the row were damaged. */
export async function damageRowsOf(ground: Ground, jobUid: string): Promise<void> {
  await ground.sql(`create function dispatcher.refuse() returns trigger language plpgsql
    as $$ begin raise 'the row % is damaged', old.id using errcode = 'data_corrupted'; end $$`);
  await ground.sql(`create trigger refuse before update on dispatcher.triggers
    for each row when (old.job_uid = '${jobUid}') execute function dispatcher.refuse()`);
}
