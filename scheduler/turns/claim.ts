import type { Queryable, SqlValue } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { TurnRow } from "../job/job.ts";
import {
  jobClaimDue,
  jobClaimSetAside,
  jobClaimThese,
  jobListDue,
  jobListSetAside,
  jobsDueWork,
  type ListedJob,
} from "../job/jobs.sql.ts";

/**
 * Which jobs a pass claims. Times are epoch milliseconds.
 *
 * - DUE: jobs with a wake time after `afterMs` (null: any) and up to `untilMs`, without those that are set aside and
 *   those of the projects `leftOut`.
 * - SET_ASIDE: jobs that are set aside and are to be tried again at `untilMs`. They have a pass of their own, so that a
 *   job which still fails costs the others nothing.
 */
export type Claim =
  | {
      readonly kind: "DUE";
      readonly afterMs: number | null;
      readonly untilMs: number;
      readonly maxJobs: number;
      readonly leftOut: readonly string[];
    }
  | { readonly kind: "SET_ASIDE"; readonly untilMs: number; readonly maxJobs: number };

/** Most jobs in one pass of jobs that are on time. */
export const CLAIM_LIMIT = 500;
/** Most jobs in one pass of late jobs. */
export const LATE_CLAIM_LIMIT = 100;
/** Most jobs in one pass of jobs that are set aside. */
export const SET_ASIDE_CLAIM_LIMIT = 10;

/** Claims jobs in the order of their wake times. Jobs that another scheduler has locked are left out. */
export function claimJobs(tx: Queryable, claim: Claim): Promise<TurnRow[]> {
  return claim.kind === "SET_ASIDE"
    ? tx.query(jobClaimSetAside, setAsideValues(claim))
    : tx.query(jobClaimDue, dueValues(claim));
}

/** Lists the jobs that `claimJobs` would claim. To be called when a claim fails because of one of them. */
export function listJobs(on: Queryable, claim: Claim): Promise<ListedJob[]> {
  return claim.kind === "SET_ASIDE"
    ? on.query(jobListSetAside, setAsideValues(claim))
    : on.query(jobListDue, dueValues(claim));
}

function setAsideValues({ untilMs, maxJobs }: Claim): SqlValue[] {
  return [toSqlTime(untilMs), maxJobs];
}

function dueValues({ untilMs, maxJobs, afterMs, leftOut }: Claim & { readonly kind: "DUE" }): SqlValue[] {
  const after = afterMs === null ? "-infinity" : toSqlTime(afterMs);
  return [toSqlTime(untilMs), maxJobs, after, leftOut];
}

/** Which passes of a tick have something to claim. */
export interface DueWork {
  readonly onTime: boolean;
  /** Whether a job has been late for not too long. A job that has been late for longer may be left out. */
  readonly late: boolean;
  readonly setAside: boolean;
}

/**
 * Looks which passes have something to claim, without a transaction: jobs with a wake time up to `untilMs` that are on
 * time (after `lateMs`), late ones after `lateFromMs`, and jobs that are set aside.
 */
export async function findDueWork(
  on: Queryable,
  times: { readonly untilMs: number; readonly lateMs: number; readonly lateFromMs: number },
): Promise<DueWork> {
  const values = [times.untilMs, times.lateMs, times.lateFromMs].map(toSqlTime);
  const [found] = await on.query(jobsDueWork, values);
  return {
    onTime: found?.on_time !== false,
    late: found?.late !== false,
    setAside: found?.set_aside !== false,
  };
}

/** Claims those of some jobs that are still to be looked at. */
export function claimAgain(tx: Queryable, claim: Claim, jobs: readonly ListedJob[]): Promise<TurnRow[]> {
  return tx.query(jobClaimThese, [toSqlTime(claim.untilMs), jobs.map(({ uid }) => uid)]);
}
