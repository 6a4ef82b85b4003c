import { equals } from "@bufbuild/protobuf";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTimeOrNull } from "../../db/time.ts";
import { type Target, TargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { type ChangeParts, prepareJob, unchanged, writeChange } from "../changes/change-job.ts";
import { lockJobs } from "../changes/lock-job.ts";
import { describeDisableReason, type StoredDisableReason } from "../job/disable-reason.ts";
import { type JobRow, readSpecOrNone, stateAt } from "../job/job.ts";
import { revisionsByJob } from "../job/revisions.sql.ts";
import { lastAttempt } from "../ledger/ledger.sql.ts";
import { readAutoDisable } from "./auto-disable.ts";
import {
  type FailingJobRow,
  failingJobLock,
  failingJobsWrite,
  type PendingStop,
} from "./failing-jobs.sql.ts";
import { isTooLong, type RunOfExhausted } from "./run-of-exhausted.ts";

/** A job that was paused or disabled. */
export interface StoppedJob {
  readonly row: JobRow;
  readonly reason: StoredDisableReason;
}

/**
 * Pauses or disables a job as its pending signal says, in the caller's transaction, and removes the signal. Returns
 * undefined, and only removes it, if the job is not active any more, or has another target than the one that the signal
 * is about: somebody has acted already, and that is not undone. The same holds if the job's present policy would not
 * disable it any more; its run of exhausted triggers goes on then.
 *
 * The job is changed as by PauseJob: fire times up to now are decided before, and triggers that were handed over ahead of
 * time are taken back.
 */
export async function stopJob(
  tx: Queryable,
  parts: ChangeParts,
  { uid, projectId }: { readonly uid: string; readonly projectId: string },
): Promise<StoppedJob | undefined> {
  const row = (await lockJobs(tx, projectId, [uid])).get(uid);
  // After the job, in the order of ResumeJob.
  const [failing] = await tx.query(failingJobLock, [uid]);
  const pending = failing?.pending;
  if (failing === undefined || pending === null || pending === undefined) return undefined;
  const run = runOf(failing);
  const isOutdated =
    row !== undefined && pending.kind === "EXHAUSTED" && !isTooLong(run, readAutoDisable(row.spec));
  if (isOutdated) {
    await writeRun(tx, uid, run);
    return undefined;
  }
  const stopped = row === undefined ? undefined : await stopLocked(tx, parts, row, pending);
  // A job that stays active is counted on from here: its run was for another target.
  await writeRun(tx, uid, { count: 0, firstMs: null, lastMs: null });
  return stopped;
}

function runOf({ exhausted_count: count, first_time: firstMs, last_time: lastMs }: FailingJobRow) {
  return { count, firstMs, lastMs };
}

/** Writes the run of a job, with nothing pending. */
async function writeRun(
  tx: Queryable,
  uid: string,
  { count, firstMs, lastMs }: RunOfExhausted,
): Promise<void> {
  await tx.query(failingJobsWrite, [
    [uid],
    [count],
    [toSqlTimeOrNull(firstMs)],
    [toSqlTimeOrNull(lastMs)],
    [null],
  ]);
}

async function stopLocked(
  tx: Queryable,
  parts: ChangeParts,
  row: JobRow,
  pending: PendingStop,
): Promise<StoppedJob | undefined> {
  if (stateAt(row, parts.clock.now()) !== "ACTIVE") return undefined;
  const target = await targetOf(tx, row, pending.revision);
  if (target === undefined) return undefined;
  const reason = await toReason(tx, row, pending, target);
  const prepared = await prepareJob(tx, parts, row);
  const changed = await writeChange(tx, parts, prepared, {
    ...unchanged(parts, prepared),
    state: pending.kind === "EXHAUSTED" ? "DISABLED" : "PAUSED",
    pauseNote: describeDisableReason(reason),
    disableReason: reason,
    untilMs: null,
  });
  return { row: changed, reason };
}

/** Returns the target of a job if it is that of an earlier revision, too; undefined if they differ or cannot be read. */
async function targetOf(tx: Queryable, row: JobRow, revision: number): Promise<Target | undefined> {
  const { target } = readSpecOrNone(row.spec);
  if (target === undefined || revision === row.revision) return target;
  const [former] = await tx.query(revisionsByJob, [[row.uid], [revision]]);
  const before = former === undefined ? undefined : readSpecOrNone(former.spec).target;
  return before !== undefined && equals(TargetSchema, before, target) ? target : undefined;
}

async function toReason(
  tx: Queryable,
  row: JobRow,
  pending: PendingStop,
  target: Target,
): Promise<StoredDisableReason> {
  const { kind, trigger, fireTimeMs, endTimeMs, exhaustedCount } = pending;
  const [last] = await tx.query(lastAttempt, [row.project_id, trigger, toIso(fireTimeMs)]);
  return {
    cause: kind,
    trigger,
    statusCode: last?.status_code ?? null,
    host: hostOf(target),
    timeMs: endTimeMs,
    exhaustedCount,
  };
}

function hostOf({ kind }: Target): string {
  if (kind.case !== "webhook") return "";
  return URL.parse(kind.value.url)?.host ?? "";
}
