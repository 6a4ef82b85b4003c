import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { type Carry, toCarryJson } from "./carry.ts";
import type { StoredDisableReason } from "./disable-reason.ts";
import { type EpochRow, epochsInsert } from "./epochs.sql.ts";
import type { JobStateName } from "./job.ts";
import { jobsChange } from "./jobs.sql.ts";

/** A job after a change, and the epoch that the change begins. Times are epoch milliseconds. */
export interface BegunEpoch {
  readonly uid: string;
  /** The number of the new epoch. */
  readonly epoch: number;
  readonly state: JobStateName;
  /** The state in the epoch. It differs from `state` only if the job has finished: then it is ACTIVE. */
  readonly epochState: EpochRow["state"];
  readonly revision: number;
  readonly nextFireTimeMs: number | null;
  readonly lastFireTimeMs: number | null;
  readonly lastSeq: number;
  readonly wakeMs: number | null;
  readonly carry: Carry;
  readonly pauseNote: string;
  readonly pauseUntilMs: number | null;
  readonly changeTimeMs: number;
  /** All fire times of the epoch are later than this. */
  readonly afterMs: number;
  /** No fire time of the epoch is later than this; null when it has no such end. */
  readonly endMs: number | null;
  /** The note of the epoch. */
  readonly note: string;
  readonly deleteFinished: boolean;
  /** Why EasyCron has paused or disabled the job; null if it has not. */
  readonly disableReason: StoredDisableReason | null;
}

/** Writes the changed rows of locked jobs and adds their new epochs, in two statements for any number of jobs. */
export async function beginEpochs(tx: Queryable, jobs: readonly BegunEpoch[]): Promise<void> {
  if (jobs.length === 0) return;
  const uids = jobs.map(({ uid }) => uid);
  const epochs = jobs.map(({ epoch }) => epoch);
  const revisions = jobs.map(({ revision }) => revision);
  const changeTimes = jobs.map(({ changeTimeMs }) => toSqlTime(changeTimeMs));
  const afterTimes = jobs.map(({ afterMs }) => toSqlTime(afterMs));
  await tx.query(jobsChange, [
    uids,
    jobs.map(({ state }) => state),
    revisions,
    epochs,
    jobs.map(({ nextFireTimeMs }) => toSqlTimeOrNull(nextFireTimeMs)),
    jobs.map(({ lastFireTimeMs }) => toSqlTimeOrNull(lastFireTimeMs)),
    jobs.map(({ lastSeq }) => lastSeq),
    jobs.map(({ wakeMs }) => toSqlTimeOrNull(wakeMs)),
    jobs.map(({ carry }) => toCarryJson(carry)),
    jobs.map(({ pauseNote }) => pauseNote),
    jobs.map(({ pauseUntilMs }) => toSqlTimeOrNull(pauseUntilMs)),
    changeTimes,
    afterTimes,
    jobs.map(({ deleteFinished }) => deleteFinished),
    jobs.map(({ disableReason }) => (disableReason === null ? null : JSON.stringify(disableReason))),
  ]);
  await tx.query(epochsInsert, [
    uids,
    epochs,
    jobs.map(({ epochState }) => epochState),
    revisions,
    afterTimes,
    jobs.map(({ endMs }) => toSqlTimeOrNull(endMs)),
    changeTimes,
    jobs.map(({ note }) => note),
  ]);
}
