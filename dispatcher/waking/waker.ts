import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import { pause } from "../../mesh/pause.ts";
import type { RevisionKey, SpecCache } from "../delivery/spec-cache.ts";
import type { Events } from "../events/events.ts";
import { jobWakeWaiting } from "./jobs-waiting.sql.ts";

/**
 * Wakes jobs that wait for the end of an earlier trigger (overlap policies BUFFER_ONE and BUFFER_ALL), so that the
 * scheduler hands over their next trigger without delay. If a wake-up is lost, the scheduler finds the end by itself
 * within 30 s.
 */
export interface Waker {
  /** How many jobs are still to be woken. */
  readonly size: number;
  /**
   * Takes note that a trigger is at rest, or that this instance holds it no more. A trigger costs nothing if its
   * revision lets triggers overlap.
   */
  ended(trigger: RevisionKey): void;
  /** Wakes what is noted, for at most `limitMs`. After that, nothing more is woken. */
  close(limitMs: number): Promise<void>;
}

/** What a waker needs. */
export interface WakerParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly specs: Pick<SpecCache, "get">;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
}

interface Note {
  readonly sinceMs: number;
}

interface WakerState {
  readonly parts: WakerParts;
  readonly elapsedMs: () => number;
  /** By job, the last end that it is to be woken for. The job that has waited longest comes first. */
  readonly notes: Map<string, Note>;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
  /** Whether ends are being lost because there are too many notes. */
  isFull: boolean;
  /** Whether the time for closing is up. */
  gaveUp: boolean;
}

/** How long the first note waits for others. */
const LINGER_MS = 20;
/** Most jobs of one statement. */
const BATCH = 500;
/** Most jobs that are noted at once. The scheduler finds the ends of others by itself. */
const MAX_NOTES = 10_000;
/** The pause before a job that was locked is tried again. */
const LOCKED_PAUSE_MS = 25;
/** For how long a job is tried that is locked. A turn or a change locks it for a much shorter time. */
const LOCKED_LIMIT_MS = 10_000;
/** How often failures in a row are reported. */
const REPORT_EVERY_MS = 10_000;
const FAILURE_PAUSE = { minMs: 50, maxMs: 2_000, jitter: 0.2 };

/**
 * Makes a waker. It runs one statement at a time, 20 ms after the first end, for at most 500 jobs. A statement that
 * fails is repeated after a pause that grows to 2 s, and reported as `trouble`, at most every ten seconds.
 */
export function createWaker(parts: WakerParts): Waker {
  const elapsedMs = parts.elapsedMs ?? (() => performance.now());
  const notes = new Map<string, Note>();
  const state: WakerState = {
    parts,
    elapsedMs,
    notes,
    timer: undefined,
    running: undefined,
    isFull: false,
    gaveUp: false,
  };
  return {
    get size() {
      return notes.size;
    },
    ended: (trigger) => {
      // A specification that is not in the cache may be of a job that waits.
      if (parts.specs.get(trigger)?.waitsForEnd !== false) note(state, trigger.jobUid);
    },
    close: (limitMs) => close(state, limitMs),
  };
}

function note(state: WakerState, jobUid: string): void {
  const { notes, elapsedMs } = state;
  if (state.gaveUp) return;
  if (notes.size >= MAX_NOTES && !notes.has(jobUid)) {
    if (!state.isFull) report(state, new Error(`More than ${MAX_NOTES} jobs are to be woken.`));
    state.isFull = true;
    return;
  }
  notes.set(jobUid, { sinceMs: elapsedMs() });
  schedule(state);
}

function report({ parts }: WakerState, error: unknown): void {
  parts.events.emit("trouble", { part: "waking jobs", error });
}

function schedule(state: WakerState): void {
  if (state.running === undefined && state.notes.size > 0 && !state.gaveUp)
    state.timer ??= setTimeout(start, LINGER_MS, state).unref();
}

/** Starts waking, unless it is under way. Returns the run. */
function start(state: WakerState): Promise<void> {
  clearTimeout(state.timer);
  state.timer = undefined;
  state.running ??= wakeAll(state).finally(() => {
    state.running = undefined;
    schedule(state);
  });
  return state.running;
}

async function wakeAll(state: WakerState): Promise<void> {
  const { events, random } = state.parts;
  let failures = 0;
  let reportedMs = Number.NEGATIVE_INFINITY;
  while (state.notes.size > 0 && !state.gaveUp) {
    try {
      const locked = await wakeBatch(state);
      if (failures > 0) events.emit("recovered", { part: "waking jobs", failures });
      failures = 0;
      state.isFull = false;
      if (locked > 0) await pause(LOCKED_PAUSE_MS);
    } catch (error) {
      failures += 1;
      if (failures === 1 || state.elapsedMs() - reportedMs >= REPORT_EVERY_MS) {
        report(state, error);
        reportedMs = state.elapsedMs();
      }
      await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
    }
  }
}

/** Wakes the jobs that have waited longest. Returns how many of them were locked. */
async function wakeBatch(state: WakerState): Promise<number> {
  const { parts, notes, elapsedMs } = state;
  const batch = [...notes].slice(0, BATCH);
  const rows = await parts.database.query(jobWakeWaiting, [
    batch.map(([jobUid]) => jobUid),
    toSqlTime(parts.clock.now()),
  ]);
  const looked = new Set(rows.map(({ uid }) => uid));
  let locked = 0;
  for (const [jobUid, noted] of batch) {
    // Another trigger of the job has ended meanwhile: the job must be looked at once more.
    if (notes.get(jobUid) !== noted) continue;
    notes.delete(jobUid);
    if (looked.has(jobUid) || elapsedMs() - noted.sinceMs > LOCKED_LIMIT_MS) continue;
    locked += 1;
    notes.set(jobUid, noted);
  }
  return locked;
}

async function close(state: WakerState, limitMs: number): Promise<void> {
  const limit = pause(limitMs).then(() => {
    state.gaveUp = true;
  });
  while (state.notes.size > 0 && !state.gaveUp) await Promise.race([start(state), limit]);
  state.gaveUp = true;
  clearTimeout(state.timer);
}
