import { type Database, isLockTimeout, isStatementTimeout } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import type { Clock } from "../mesh/clock.ts";
import type { Wanted } from "../mesh/loop.ts";
import { pause } from "../mesh/pause.ts";
import type { Events } from "./events/events.ts";
import { partitionLimit, partitionListMissing, partitionMake, snapshotOldest } from "./housekeeping.sql.ts";

const MONTH_MS = 31 * 86_400_000;
/** Last month, this month, and the next three. So there are at least two months to make a partition. */
const MONTHS = 5;
/** How long making one partition may take: PostgreSQL scans the default partition. */
const MAKE_LIMIT_MS = 2_000;
const MIN_PAUSE_MS = 10_000;
const MAX_PAUSE_MS = 600_000;
/** A partition that is not made because its rows are in the default partition is reported at most this often. */
const IN_DEFAULT_EVERY_MS = 1_800_000;
const START_TRIES = 20;
const START_PAUSE_MS = 100;

/** Time between two calls of `makePartitions` when none is missing. */
export const PARTITIONS_EVERY_MS = 3_600_000;

/** What making partitions needs. */
export interface PartitionParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
}

/** Makes monthly partitions, again and again. */
export interface Partitions {
  /**
   * Makes the missing partitions of last month, this month and the next three months. Rows of other months go to the
   * default partitions. Returns when to call it again: soon if one could not be made, because a long reader such as
   * pg_dump was in the way. A month whose rows are already in a default partition gets none; this is reported. Throws
   * SERVICE_UNAVAILABLE.
   */
  make(): Promise<Wanted>;
  /** Makes them at the start of the process. If one that is needed now is in the making elsewhere, tries a few times. */
  makeFirst(): Promise<void>;
}

interface PartitionState {
  readonly parts: PartitionParts;
  /** Calls in a row after which a partition was still missing. */
  failures: number;
  /** When the first of them was. */
  failingSinceMs: number;
  /** By partition that is not made because the default partition has rows of its month: when that was reported last. */
  readonly inDefault: Map<string, number>;
}

interface Missing {
  readonly of_table: string;
  readonly month_start: number;
  readonly name: string;
}

/** Makes the state of `Partitions`; asks nothing of the database yet. */
export function createPartitions(parts: PartitionParts): Partitions {
  const state: PartitionState = { parts, failures: 0, failingSinceMs: 0, inDefault: new Map() };
  return {
    make: () => makeMissing(state),
    makeFirst: async () => {
      for (let tries = 1; tries <= START_TRIES; tries++) {
        await makeMissing(state);
        const missing = (await listMissing(state)).filter(({ name }) => !state.inDefault.has(name));
        const nowMs = parts.clock.now();
        if (!missing.some(({ month_start }) => month_start <= nowMs + MONTH_MS)) return;
        await pause(START_PAUSE_MS);
      }
    },
  };
}

function listMissing({ parts }: PartitionState): Promise<Missing[]> {
  return parts.database.query(partitionListMissing, [toSqlTime(parts.clock.now() - MONTH_MS), MONTHS]);
}

async function makeMissing(state: PartitionState): Promise<Wanted> {
  for (const missing of await listMissing(state)) {
    const failure = await tryToMake(state, missing);
    // The others would wait for the same reader, and everybody would wait with them.
    if (failure !== undefined) return failed(state, missing, failure.error);
  }
  state.failures = 0;
  return { more: false };
}

async function tryToMake(
  state: PartitionState,
  { of_table, month_start, name }: Missing,
): Promise<{ readonly error: unknown } | undefined> {
  const { parts } = state;
  try {
    const [row] = await parts.database.transaction(async (tx) => {
      await tx.query(partitionLimit, [String(MAKE_LIMIT_MS)]);
      return tx.query(partitionMake, [of_table, toSqlTime(month_start)]);
    });
    if (row?.outcome === "MADE") parts.events.emit("partitionMade", { partition: name });
    if (row?.outcome === "IN_DEFAULT") reportInDefault(state, name);
    else state.inDefault.delete(name);
    return row?.outcome === "BUSY" ? { error: undefined } : undefined;
  } catch (error) {
    if (isLockTimeout(error) || isStatementTimeout(error)) return { error };
    throw error;
  }
}

function reportInDefault({ parts, inDefault }: PartitionState, partition: string): void {
  const nowMs = parts.clock.now();
  if (nowMs < (inDefault.get(partition) ?? Number.NEGATIVE_INFINITY) + IN_DEFAULT_EVERY_MS) return;
  inDefault.set(partition, nowMs);
  parts.events.emit("partitionInDefault", { partition });
}

function failed(state: PartitionState, { name, month_start }: Missing, error: unknown): Wanted {
  const nowMs = state.parts.clock.now();
  if (state.failures === 0) state.failingSinceMs = nowMs;
  state.failures += 1;
  // Without an error, another dispatcher makes it, and reports what is in its way.
  if (error !== undefined) {
    const triedMs = nowMs - state.failingSinceMs;
    state.parts.events.emit("partitionLate", {
      partition: name,
      triedMs,
      leftMs: month_start - nowMs,
      error,
    });
  }
  return { more: false, againMs: Math.min(MIN_PAUSE_MS * 2 ** (state.failures - 1), MAX_PAUSE_MS) };
}

/** Time between two calls of a snapshot watch. */
export const SNAPSHOTS_EVERY_MS = 30_000;
const REPORT_EVERY_MS = 300_000;

/**
 * Returns a function that looks for the oldest snapshot, and reports one that is older than `alertMs`, at most every
 * five minutes. While a snapshot is held, PostgreSQL removes no dead row, and every queue gets slower to read.
 */
export function createSnapshotWatch(
  { database, clock, events }: PartitionParts,
  alertMs: number,
): () => Promise<void> {
  let reportedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const [oldest] = await database.query(snapshotOldest);
    const nowMs = clock.now();
    if (oldest === undefined || oldest.age_ms < alertMs || nowMs < reportedMs + REPORT_EVERY_MS) return;
    reportedMs = nowMs;
    const { kind, pid, name, age_ms } = oldest;
    events.emit("oldSnapshot", { kind, pid, name, ageMs: age_ms });
  };
}
