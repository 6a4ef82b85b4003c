import type { SkipReason } from "./verdict.ts";

/**
 * What a job's next turn must know about earlier turns, besides the cursor and the last trigger. Times are epoch
 * milliseconds, ascending. It is stored as JSON in scheduler.jobs.carry; a field that is not stored is empty.
 */
export interface Carry {
  /**
   * Fire times that will make a trigger, but still wait for their delay, an opening of a calendar, or an earlier
   * trigger.
   */
  readonly waiting: readonly number[];
  /** Those of `waiting` that an outage had already made late when they began to wait. */
  readonly late: readonly number[];
  /** Future fire times that a request asked to skip. */
  readonly requested: readonly number[];
  /** The last range of skips; null once a fire time with another verdict follows it. The next skip may extend it. */
  readonly run: SkipRun | null;
  /** How many fire times were skipped since the last trigger. */
  readonly skipped: number;
  /** How many fire times were missed since the last trigger. */
  readonly missed: number;
}

/** A range of skips that may still grow: its first fire time, and the reason and detail of all its fire times. */
export interface SkipRun {
  readonly firstMs: number;
  readonly reason: SkipReason;
  readonly detail: string;
}

/** The carry of a job that has nothing to remember. */
export const NO_CARRY: Carry = { waiting: [], late: [], requested: [], run: null, skipped: 0, missed: 0 };

/** Fills in the fields that the column does not store. */
export function readCarry(stored: Partial<Carry>): Carry {
  return { ...NO_CARRY, ...stored };
}

/** Returns the JSON for the column; empty fields are left out. */
export function toCarryJson(carry: Carry): string {
  const kept = Object.entries(carry).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== null && value !== 0,
  );
  return JSON.stringify(Object.fromEntries(kept));
}
