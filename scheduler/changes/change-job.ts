import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type BegunEpoch, beginEpochs } from "../job/begin-epochs.ts";
import type { StoredDisableReason } from "../job/disable-reason.ts";
import { isHalted, type JobRow, type JobStateName, readSpecOrNone, stateAt } from "../job/job.ts";
import { jobsByUids, jobsLockForChange, jobsWithdraw } from "../job/jobs.sql.ts";
import { addSkips, type JobSkip, skipsLast } from "../job/skips.sql.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { readPolicies } from "../schedules/policies.ts";
import { createYield } from "../schedules/slices.ts";
import { resumeDue } from "../turns/resume-due.ts";
import { type Position, positionOf } from "../turns/turn-draft.ts";
import { decideDue } from "./decide-due.ts";
import { rewindJob } from "./rewind-job.ts";

/** What preparing a job for a change uses. */
type PrepareParts = Pick<
  Parts,
  "handOver" | "schedules" | "zoneData" | "clock" | "catchupPerSecond" | "onMissed"
>;

/** What a whole change of one job uses: preparing the job and writing the change. */
export type ChangeParts = PrepareParts & Pick<Parts, "lookAheadMs">;

/**
 * A job that is ready to be changed: its row is locked, all fire times up to now are decided, and triggers for later
 * fire times are withdrawn.
 */
export interface PreparedJob {
  readonly row: JobRow;
  /**
   * The time of the change, in epoch milliseconds. Fire times up to it belong to the old specification, later ones to
   * the new one.
   */
  readonly changeTimeMs: number;
  /** The end of the chain after triggers were withdrawn, and the carry. Do not use its cursor: it is out of date. */
  readonly position: Position;
  /**
   * The new cursor must be after this, in epoch milliseconds: the time of the change, or the last fire time that is
   * decided already, if that is later. It can be later, because a trigger had already started, or because the clock was
   * set back, or because the clock of another scheduler is ahead of this one's.
   */
  readonly afterMs: number;
}

/** The state of a job after a change. */
export interface JobChange {
  readonly state: Exclude<JobStateName, "FINISHED">;
  readonly revision: number;
  /** The schedule of that revision. */
  readonly schedule: CompiledSchedule;
  readonly pauseNote: string;
  /** Why EasyCron has paused or disabled the job; null if it has not. */
  readonly disableReason: StoredDisableReason | null;
  /** When the pause ends by itself, in epoch milliseconds. Null if it does not, or if the job is not paused. */
  readonly untilMs: number | null;
  /** Future fire times that are to be skipped by request, in epoch milliseconds. */
  readonly requested: readonly number[];
}

/**
 * Prepares a locked job for a change:
 *
 * 1. It decides all fire times that are due up to now and hands over their triggers. They belong to the specification
 *    that is being replaced, so the old policies apply. Usually there are none, but an outage can have delayed them. No
 *    fire time is lost to a change.
 * 2. It raises the lock to FOR UPDATE. This waits until no dispatcher is recording events of the job. From then on
 *    dispatchers refuse events of the old epoch.
 * 3. It withdraws triggers that were handed over ahead of time and have not started, and rewinds the chain accordingly.
 *    A withdrawn trigger whose fire time has come, and that was only delayed, goes back to the waiting fire times. If
 *    the change leaves the job active, it is delivered again, under the new revision. A pause or a deletion skips it.
 *
 * A dispatcher claims a trigger in PostgreSQL at its effective time, not before. So once the transaction has committed,
 * no delivery starts under the old specification for a later time (promise 5), and no dispatcher needs to be asked.
 * Catch-up triggers after an outage were due before the change, so they are still delivered.
 *
 * Throws SERVICE_UNAVAILABLE when the backlog is too long to be decided in one change.
 */
export async function prepareJob(tx: Queryable, parts: PrepareParts, given: JobRow): Promise<PreparedJob> {
  const [prepared] = await prepareJobs(tx, parts, [given]);
  if (prepared === undefined) throw new Error(`Job ${given.uid} was not prepared for its change.`);
  return prepared;
}

/**
 * Prepares locked jobs for changes at one instant, each as `prepareJob` does, and returns them in the given order. The
 * number of statements does not depend on the number of jobs.
 *
 * The backlogs of all jobs are decided before the first lock is raised. A dispatcher that waits for a raised lock could
 * not record the triggers of the others.
 */
export async function prepareJobs(
  tx: Queryable,
  parts: PrepareParts,
  given: readonly JobRow[],
): Promise<PreparedJob[]> {
  if (given.length === 0) return [];
  const changeTimeMs = parts.clock.now();
  const rows = await endPauses(tx, parts, given, changeTimeMs);
  const due = rows.flatMap((row, index) => {
    const mayBeDue = row.state === "ACTIVE" && compiledScheduleOf(parts, row) !== undefined;
    // Triggers are handed over with the epoch before `endPauses`, because its new epoch is not committed yet.
    return mayBeDue ? [{ row, epoch: given[index]?.epoch ?? row.epoch }] : [];
  });
  const decided = await decideDue(tx, parts, due, changeTimeMs);
  const uids = rows.map(({ uid }) => uid).sort();
  await tx.query(jobsLockForChange, [uids]);
  const withdrawn = Map.groupBy(
    await tx.query(jobsWithdraw, [uids, toSqlTime(changeTimeMs)]),
    ({ job_uid: uid }) => uid,
  );
  const lastSkips = new Map(
    (await tx.query(skipsLast, [uids])).map((skip) => [skip.job_uid, skip.last_fire_time]),
  );
  const prepared: PreparedJob[] = [];
  const yieldOften = createYield();
  for (const row of rows) {
    const found = withdrawn.get(row.uid) ?? [];
    const removed = found.filter((each) => !each.kept);
    const kept = found.find((each) => each.kept);
    const known = { removed, kept, lastSkipMs: lastSkips.get(row.uid) };
    const schedule = compiledScheduleOf(parts, row);
    const position = decided.get(row.uid) ?? positionOf(row);
    prepared.push({ row, changeTimeMs, ...rewindJob(row, schedule, changeTimeMs, position, known) });
    await yieldOften();
  }
  return prepared;
}

// Resumes jobs whose pause has ended although no tick has resumed them yet. The pause ends at its `until` time, not at
// the change. So fire times between the two are due and must be decided.
async function endPauses(
  tx: Queryable,
  parts: Pick<Parts, "schedules">,
  rows: readonly JobRow[],
  nowMs: number,
): Promise<readonly JobRow[]> {
  const current = new Map(rows.map((row) => [row.uid, row]));
  const over = (row: JobRow) =>
    row.state === "PAUSED" && row.pause_until !== null && row.pause_until <= nowMs;
  // Each round resumes as many as `resumeDue` does at a time. Those that cannot be computed stay paused.
  for (let left = rows.filter(over); left.length > 0; ) {
    const resumed = await resumeDue(tx, { schedules: parts.schedules, onTrouble: () => {} }, left);
    const read = await readRows(tx, left);
    for (const row of read) current.set(row.uid, row);
    left = resumed === 0 ? [] : read.filter(over);
  }
  return rows.map((row) => current.get(row.uid) ?? row);
}

async function readRows(tx: Queryable, rows: readonly JobRow[]): Promise<JobRow[]> {
  return tx.query(jobsByUids, [rows.map((row) => row.project_id), rows.map(({ uid }) => uid)]);
}

// Returns undefined when the schedule cannot be compiled. Such a job has no fire times to decide, but it can still be
// updated, paused and deleted.
function compiledScheduleOf(parts: Pick<Parts, "schedules">, row: JobRow): CompiledSchedule | undefined {
  const found = parts.schedules.find(row);
  return found instanceof Error ? undefined : found;
}

// Returns a stand-in for a schedule that cannot be compiled. Its `nextAfter` throws the error of the compilation.
function failingSchedule(parts: Pick<Parts, "schedules">, row: JobRow): CompiledSchedule {
  return {
    jobUid: row.uid,
    nextAfter: (afterMs) => parts.schedules.of(row).nextAfter(afterMs),
    plan: { schedules: [] },
    policies: readPolicies(readSpecOrNone(row.spec)),
    calendars: [],
    zoneData: row.zone_data,
    zones: [],
  };
}

/**
 * Returns the change that leaves a job as it is. Other changes override some of its fields. It is used alone when
 * something has changed that the job depends on, such as a calendar.
 */
export function unchanged(parts: Pick<Parts, "schedules">, job: PreparedJob): JobChange {
  const { row, changeTimeMs, position } = job;
  const state = stateAt(row, changeTimeMs);
  return {
    state: state === "FINISHED" ? "ACTIVE" : state,
    revision: row.revision,
    schedule: compiledScheduleOf(parts, row) ?? failingSchedule(parts, row),
    pauseNote: isHalted(state) ? row.pause_note : "",
    disableReason: isHalted(state) ? row.disable_reason : null,
    untilMs: state === "PAUSED" ? row.pause_until : null,
    requested: position.carry.requested,
  };
}

/** Writes the change of a prepared job, begins its next epoch, and returns its new row. */
export async function writeChange(
  tx: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  job: PreparedJob,
  change: JobChange,
): Promise<JobRow> {
  const [written] = await writeChanges(tx, parts, [{ job, change }]);
  if (written === undefined) throw new Error(`The change of job ${job.row.uid} was not written.`);
  return written;
}

/** A prepared job and its state after the change. */
export interface PreparedChange {
  readonly job: PreparedJob;
  readonly change: JobChange;
}

/**
 * Writes the changes of prepared jobs, each as `writeChange` does, and returns the new rows in the given order. The
 * number of statements does not depend on the number of jobs.
 */
export async function writeChanges(
  tx: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  changes: readonly PreparedChange[],
): Promise<JobRow[]> {
  if (changes.length === 0) return [];
  const begun = changes.map((each) => toBegun(parts, each));
  await addSkips(
    tx,
    begun.flatMap(({ dropped }) => dropped),
  );
  await beginEpochs(
    tx,
    begun.map(({ epoch }) => epoch),
  );
  const rows = new Map(
    (
      await readRows(
        tx,
        changes.map(({ job }) => job.row),
      )
    ).map((row) => [row.uid, row]),
  );
  return changes.map(({ job: { row } }) => {
    const written = rows.get(row.uid);
    if (written === undefined) throw new Error(`Job ${row.uid} cannot be read after its change was written.`);
    return written;
  });
}

/** A new epoch, and the waiting fire times that are skipped because of it. */
interface Begun {
  readonly epoch: BegunEpoch;
  readonly dropped: readonly JobSkip[];
}

function toBegun(parts: Pick<Parts, "lookAheadMs">, { job, change }: PreparedChange): Begun {
  const { row, position, afterMs, changeTimeMs } = job;
  const active = change.state === "ACTIVE";
  const { maxFires, deleteFinished } = change.schedule.policies;
  const left = maxFires > 0 ? Math.max(0, maxFires - position.lastSeq) : Number.POSITIVE_INFINITY;
  const waiting = active ? position.carry.waiting.slice(0, left) : [];
  const spent = left === 0;
  const nextMs = active && !spent ? change.schedule.nextAfter(afterMs) : null;
  const over = active && nextMs === null && waiting.length === 0 && change.schedule.plan.schedules.length > 0;
  // If `maxFires` leaves fewer fires than there are waiting fire times, the last of those are skipped.
  const dropped = position.carry.waiting.slice(waiting.length);
  const skipped = position.carry.skipped + dropped.length;
  const epoch: BegunEpoch = {
    uid: row.uid,
    epoch: row.epoch + 1,
    state: over ? "FINISHED" : change.state,
    epochState: change.state,
    revision: change.revision,
    nextFireTimeMs: nextMs,
    lastFireTimeMs: position.lastFireTimeMs,
    lastSeq: position.lastSeq,
    wakeMs: wakeAfter(parts, job, change, nextMs !== null || waiting.length > 0),
    carry: { ...position.carry, waiting, skipped, requested: change.requested },
    pauseNote: change.pauseNote,
    pauseUntilMs: change.untilMs,
    changeTimeMs,
    afterMs,
    endMs: spent ? afterMs : null,
    note: change.pauseNote,
    deleteFinished,
    disableReason: change.disableReason,
  };
  return { epoch, dropped: toSkips(row.uid, dropped, change.state === "PAUSED" ? "PAUSED" : "JOB_DISABLED") };
}

function wakeAfter(
  parts: Pick<Parts, "lookAheadMs">,
  job: PreparedJob,
  change: JobChange,
  hasWork: boolean,
): number | null {
  if (change.state === "PAUSED" && change.untilMs !== null) return change.untilMs - parts.lookAheadMs;
  return hasWork ? job.changeTimeMs : null;
}

function toSkips(jobUid: string, times: readonly number[], reason: SkipReason): JobSkip[] {
  return times.map((atMs) => ({
    jobUid,
    range: { firstMs: atMs, lastMs: atMs, reason, count: 1, detail: "" },
  }));
}
