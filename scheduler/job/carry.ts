import { isSkipReason, type SkipReason } from "./verdict.ts";

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

/**
 * Reads the column and fills in the fields that it does not store. Throws an error that names the path of a value which
 * has not the expected form, such as `carry.waiting[1]`: a turn that went on with such a value would decide wrongly.
 */
export function readCarry(stored: unknown): Carry {
  const object = readObject(stored, "carry");
  if (Object.keys(object).length === 0) return NO_CARRY;
  const { waiting, late, requested, run, skipped, missed } = object;
  return {
    waiting: readTimes(waiting, "carry.waiting"),
    late: readTimes(late, "carry.late"),
    requested: readTimes(requested, "carry.requested"),
    run: readRun(run),
    skipped: readCount(skipped, "carry.skipped"),
    missed: readCount(missed, "carry.missed"),
  };
}

function readObject(value: unknown, path: string): Partial<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(path, "an object");
  return value as Partial<Record<string, unknown>>;
}

function readTimes(value: unknown, path: string): readonly number[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(path, "a list");
  const times: readonly unknown[] = value;
  return times.map((each, index) => readTime(each, `${path}[${index}]`));
}

/** The largest distance from 1970 that a Date can hold, in milliseconds. */
const MAX_TIME_MS = 8_640_000_000_000_000;

function readTime(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || Math.abs(value) > MAX_TIME_MS)
    throw wrong(path, "a time in milliseconds");
  return value;
}

function readRun(value: unknown): SkipRun | null {
  if (value === undefined || value === null) return null;
  const { firstMs, reason, detail } = readObject(value, "carry.run");
  if (!isSkipReason(reason)) throw wrong("carry.run.reason", "the reason of a skip");
  if (typeof detail !== "string") throw wrong("carry.run.detail", "a text");
  return { firstMs: readTime(firstMs, "carry.run.firstMs"), reason, detail };
}

function readCount(value: unknown, path: string): number {
  if (value === undefined) return 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrong(path, "a whole number");
  return value;
}

function wrong(path: string, expected: string): Error {
  return new Error(`${path} in scheduler.jobs is not ${expected}.`);
}

function isEmpty({ waiting, late, requested, run, skipped, missed }: Carry): boolean {
  return waiting.length + late.length + requested.length + skipped + missed === 0 && run === null;
}

/** Returns the JSON for the column; empty fields are left out. */
export function toCarryJson(carry: Carry): string {
  // Nearly every turn of nearly every job writes an empty one.
  if (isEmpty(carry)) return "{}";
  const kept = Object.entries(carry).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== null && value !== 0,
  );
  return JSON.stringify(Object.fromEntries(kept));
}
