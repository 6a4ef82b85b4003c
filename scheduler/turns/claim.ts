import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { TurnRow } from "../job/job.ts";
import { jobClaimDue, jobClaimSetAside, jobClaimThese } from "../job/jobs.sql.ts";

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
  const until = toSqlTime(claim.untilMs);
  if (claim.kind === "SET_ASIDE") return tx.query(jobClaimSetAside, [until, claim.maxJobs]);
  const after = claim.afterMs === null ? "-infinity" : toSqlTime(claim.afterMs);
  return tx.query(jobClaimDue, [until, claim.maxJobs, after, claim.isLate ? busyProjects : []]);
}

/** Claims again those jobs of an earlier claim, whose transaction has failed, that are still to be looked at. */
export function claimAgain(tx: Queryable, claim: Claim, rows: readonly TurnRow[]): Promise<TurnRow[]> {
  return tx.query(jobClaimThese, [toSqlTime(claim.untilMs), rows.map(({ uid }) => uid)]);
}
