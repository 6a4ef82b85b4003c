import type { Queryable } from "../../db/pool.ts";
import { pause } from "../../mesh/pause.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { prepareJobs, unchanged, writeChanges } from "../changes/change-job.ts";
import { addRevisions } from "../changes/write-revision.ts";
import { checkTurnRow, fromSpecJson, type JobRow } from "../job/job.ts";
import type { ZoneJobRow } from "../job/jobs.sql.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import { zoneDataTryToSettle } from "../zones/zone-data.sql.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import { type FailedJob, lockSet, type SettleParts } from "./job-set.ts";
import { leavesJobForLater } from "./leaves-job-for-later.ts";
import type { SetSize } from "./set-size.ts";

/** The release that jobs get new revisions under. */
export interface RenewTo {
  readonly release: ZoneRelease;
  /** The releases whose calendar versions and revisions need no change. */
  readonly upToDate: readonly string[];
  readonly size: SetSize;
}

/** What became of a set of jobs. */
export interface RenewedJobs {
  /** Whether another process is changing jobs for this release: not everything was done. */
  readonly isTaken: boolean;
  /** How many have a new revision. */
  readonly settled: number;
  readonly failed: readonly FailedJob[];
  /** The jobs that there was no room for. */
  readonly left: ReadonlySet<ZoneJobRow>;
  /** The jobs that other transactions have locked all the time. */
  readonly locked: readonly ZoneJobRow[];
}

/** How often the jobs of a set that are locked are tried, and the pause before each further time. Then a later pass does. */
const LOCKED_TRIES = 3;
const LOCKED_PAUSE_MS = 50;

/**
 * Gives a set of jobs new revisions under a release, in one transaction. A set that fails is taken apart, so that a job
 * that fails alone is left behind. It waits for no lock: it tries locked jobs twice more. Throws SERVICE_UNAVAILABLE.
 */
export async function renewJobs(
  parts: SettleParts,
  to: RenewTo,
  set: readonly ZoneJobRow[],
): Promise<RenewedJobs> {
  const failedJobs: FailedJob[] = [];
  const left = new Set<ZoneJobRow>();
  const done = { isTaken: false, settled: 0 };
  const work = (part: readonly ZoneJobRow[]) => addJobRevisions(parts, to, part);
  let locked = set;
  for (let tries = 1; locked.length > 0 && !done.isTaken && tries <= LOCKED_TRIES; tries++) {
    if (tries > 1) await pause(LOCKED_PAUSE_MS);
    const startMs = performance.now();
    const { results, failed } = await takeApart(locked, work, { isItemFault: leavesJobForLater });
    if (tries === 1) to.size.took(performance.now() - startMs);
    failedJobs.push(...failed.map(({ item, error }) => ({ jobUid: item.uid, error })));
    for (const result of results) {
      done.isTaken ||= result.isTaken;
      done.settled += result.settled;
      failedJobs.push(...result.failed);
      for (const job of result.left) left.add(job);
    }
    locked = results.flatMap((result) => result.locked);
  }
  return { ...done, failed: failedJobs, left, locked };
}

/** What became of the jobs of one transaction. */
interface ChangedSet {
  /** Whether another process is changing jobs for this release: nothing was done. */
  readonly isTaken: boolean;
  readonly settled: number;
  readonly failed: readonly FailedJob[];
  /** The jobs that another transaction has locked. */
  readonly locked: readonly ZoneJobRow[];
  /** The jobs that there was no room for. */
  readonly left: readonly ZoneJobRow[];
}

/** A locked job that needs a revision under the release, and the schedule of that revision. */
interface AffectedJob {
  readonly row: JobRow;
  readonly schedule: CompiledSchedule;
}

function addJobRevisions(parts: SettleParts, to: RenewTo, jobs: readonly ZoneJobRow[]): Promise<ChangedSet> {
  return parts.database.transaction(async (tx) => {
    const [lock] = await tx.query(zoneDataTryToSettle, [to.release.version]);
    if (lock?.taken !== true) return { isTaken: true, settled: 0, failed: [], locked: [], left: [] };
    const set = await lockSet(tx, parts, jobs, (row) => toAffectedJob(row, to));
    const changed = [...set.planned.values()].filter((job) => job !== undefined);
    await renewRevisions(tx, parts, changed, to.release.version);
    const { failed, left, locked } = set;
    return { isTaken: false, settled: changed.length, failed, locked, left };
  });
}

/** Returns undefined if another scheduler has changed the job meanwhile, or a customer has changed or deleted it. */
function toAffectedJob(row: JobRow, { release, upToDate }: RenewTo): AffectedJob | undefined {
  if (row.state === "DELETED" || upToDate.includes(row.zone_data)) return undefined;
  checkTurnRow(row);
  return { row, schedule: compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData: release }) };
}

/** Gives locked jobs a new revision each, in a number of statements that does not depend on how many they are. */
async function renewRevisions(
  tx: Queryable,
  parts: SettleParts,
  jobs: readonly AffectedJob[],
  zoneData: string,
): Promise<void> {
  const prepared = await prepareJobs(
    tx,
    parts,
    jobs.map(({ row }) => row),
  );
  const changes = prepared.flatMap((job, index) => {
    const schedule = jobs[index]?.schedule;
    const revision = job.row.revision + 1;
    return schedule === undefined ? [] : [{ job, change: { ...unchanged(parts, job), revision, schedule } }];
  });
  await addRevisions(
    tx,
    changes.map(({ job, change: { revision: number } }) => ({
      job,
      revision: { number, spec: job.row.spec, actor: "", zoneData },
    })),
  );
  await writeChanges(tx, parts, changes);
}
