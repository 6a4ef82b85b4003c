import type { Queryable, SqlValue } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { TurnRow } from "../job/job.ts";
import {
  jobClaimDue,
  jobClaimSetAside,
  jobClaimThese,
  jobListDue,
  jobListSetAside,
  type ListedJob,
} from "../job/jobs.sql.ts";

/**
 * Which jobs a pass claims. Times are epoch milliseconds.
 *
 * - DUE: jobs with a wake time after `afterMs` (null: any) and up to `untilMs`, without those that are set aside. `isLate`
 *   tells whether they are late.
 * - SET_ASIDE: jobs that are set aside and are to be tried again at `untilMs`. They have a pass of their own, so that a
 *   job which still fails costs the others nothing.
 */
export type Claim =
  | {
      readonly kind: "DUE";
      readonly afterMs: number | null;
      readonly untilMs: number;
      readonly maxJobs: number;
      readonly isLate: boolean;
    }
  | { readonly kind: "SET_ASIDE"; readonly untilMs: number; readonly maxJobs: number };

/** Most jobs in one pass of jobs that are on time. */
export const CLAIM_LIMIT = 500;
/** Most jobs in one pass of late jobs. */
export const LATE_CLAIM_LIMIT = 100;
/** Most jobs in one pass of jobs that are set aside. */
export const SET_ASIDE_CLAIM_LIMIT = 10;

/**
 * Claims jobs in the order of their wake times. Jobs that another scheduler has locked are left out, and so are late
 * jobs of the projects `busyProjects`.
 */
export function claimJobs(tx: Queryable, claim: Claim, busyProjects: readonly string[]): Promise<TurnRow[]> {
  return claim.kind === "SET_ASIDE"
    ? tx.query(jobClaimSetAside, setAsideValues(claim))
    : tx.query(jobClaimDue, dueValues(claim, busyProjects));
}

/** Lists the jobs that `claimJobs` would claim. To be called when a claim fails because of one of them. */
export function listJobs(on: Queryable, claim: Claim, busyProjects: readonly string[]): Promise<ListedJob[]> {
  return claim.kind === "SET_ASIDE"
    ? on.query(jobListSetAside, setAsideValues(claim))
    : on.query(jobListDue, dueValues(claim, busyProjects));
}

function setAsideValues({ untilMs, maxJobs }: Claim): SqlValue[] {
  return [toSqlTime(untilMs), maxJobs];
}

function dueValues(
  { untilMs, maxJobs, afterMs, isLate }: Claim & { readonly kind: "DUE" },
  busyProjects: readonly string[],
): SqlValue[] {
  const after = afterMs === null ? "-infinity" : toSqlTime(afterMs);
  return [toSqlTime(untilMs), maxJobs, after, isLate ? busyProjects : []];
}

/** Claims those of some jobs that are still to be looked at. */
export function claimAgain(tx: Queryable, claim: Claim, jobs: readonly ListedJob[]): Promise<TurnRow[]> {
  return tx.query(jobClaimThese, [toSqlTime(claim.untilMs), jobs.map(({ uid }) => uid)]);
}
