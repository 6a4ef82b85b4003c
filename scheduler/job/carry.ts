import type { SkipReason } from "./verdict.ts";

/**
 * What a job's next turn must know of those before, beside its cursor and chain. Times are epoch milliseconds,
 * ascending. Stored as JSON in scheduler.jobs.carry; what is not there is empty.
 */
export interface Carry {
  /** Fire times that are to make a trigger and wait: for their delay, an opening, or an earlier trigger. */
  readonly waiting: readonly number[];
  /** Those of them that an outage had made late when they began to wait. */
  readonly late: readonly number[];
  /** Fire times ahead that are to be skipped by request. */
  readonly requested: readonly number[];
  /** The last range of skips, if no fire time with another verdict has followed: the next skip may lengthen it. */
  readonly run: SkipRun | null;
  /** How many were skipped since the last trigger. */
  readonly skipped: number;
  /** How many were missed since then. */
  readonly missed: number;
}

/** The beginning of a range of skips, and what all of it shares. */
export interface SkipRun {
  readonly firstMs: number;
  readonly reason: SkipReason;
  readonly detail: string;
}

/** Nothing to carry. */
export const NO_CARRY: Carry = { waiting: [], late: [], requested: [], run: null, skipped: 0, missed: 0 };

/** Completes what the column holds. */
export function readCarry(stored: Partial<Carry>): Carry {
  return { ...NO_CARRY, ...stored };
}

/** What the column is to hold. */
export function toCarryJson(carry: Carry): string {
  const kept = Object.entries(carry).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== null && value !== 0,
  );
  return JSON.stringify(Object.fromEntries(kept));
}
