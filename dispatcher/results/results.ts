import { type Database, isStatementTimeout } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { pause } from "../../mesh/pause.ts";
import type { Events } from "../events/events.ts";
import { recordResults } from "./record-results.ts";
import type { Result } from "./result.ts";

/** A buffer of results that are not recorded yet. */
export interface Results {
  /** How many results are not durable yet. */
  readonly size: number;
  /** How long the oldest of these has waited, in milliseconds; 0 when there is none. */
  readonly lagMs: number;
  add(result: Result): void;
  /** Records what is buffered, for at most `limitMs`. After that, nothing more is recorded. */
  close(limitMs: number): Promise<void>;
}

/** What the buffer needs. */
export interface ResultsParts {
  readonly database: Database;
  readonly events: Events;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  /**
   * Whether more attempts can start at once. Results then wait longer for others, so that sending has more of the
   * machine.
   */
  readonly isBusy: () => boolean;
  /** Called for each durable result; `isHeld` tells whether this instance keeps the trigger for its next attempt. */
  readonly onRecorded: (result: Result, isHeld: boolean) => void;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
}

interface BufferedResult {
  readonly result: Result;
  readonly sinceMs: number;
}

interface ResultsState {
  readonly parts: ResultsParts;
  readonly elapsedMs: () => number;
  /** Results that no statement has taken yet, oldest first. */
  buffered: BufferedResult[];
  /** How many results of the batch under way are not durable yet. */
  writing: number;
  /** Since when the oldest result of that batch waits. */
  oldestWritingMs: number | undefined;
  /** Most results of the next statement; less than MAX_BATCH after one took too long. */
  batchLimit: number;
  timer: NodeJS.Timeout | undefined;
  /** The batch under way. */
  running: Promise<void> | undefined;
  /** Whether the time for closing is up: nothing more is recorded. */
  gaveUp: boolean;
}

/** Most results of one statement. */
const MAX_BATCH = 1_000;
/** How long the first result waits for others: normally, and while `isBusy`. */
const LINGER_MS = 10;
const BUSY_LINGER_MS = 100;
const FAILURE_PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/**
 * Makes the buffer. One statement is in flight at a time. It is sent when 1,000 results wait, or 10 ms after the first
 * result (100 ms while `isBusy`).
 *
 * A statement that fails is repeated until it succeeds, so results survive a database that is away; recording the same
 * result twice changes nothing. A statement that exceeds the pool's time limit is repeated in halves. Later statements
 * are no longer than these halves until one of that length succeeds.
 */
export function createResults(parts: ResultsParts): Results {
  const elapsedMs = parts.elapsedMs ?? (() => performance.now());
  const state: ResultsState = {
    parts,
    elapsedMs,
    buffered: [],
    writing: 0,
    oldestWritingMs: undefined,
    batchLimit: MAX_BATCH,
    timer: undefined,
    running: undefined,
    gaveUp: false,
  };
  return {
    get size() {
      return sizeOf(state);
    },
    get lagMs() {
      const sinceMs = state.oldestWritingMs ?? state.buffered[0]?.sinceMs;
      return sinceMs === undefined ? 0 : elapsedMs() - sinceMs;
    },
    add: (result) => {
      state.buffered.push({ result, sinceMs: elapsedMs() });
      schedule(state);
    },
    close: (limitMs) => close(state, limitMs),
  };
}

function sizeOf({ buffered, writing }: ResultsState): number {
  return buffered.length + writing;
}

async function close(state: ResultsState, limitMs: number): Promise<void> {
  const limit = pause(limitMs).then(() => {
    state.gaveUp = true;
  });
  while (sizeOf(state) > 0 && !state.gaveUp) await Promise.race([start(state), limit]);
  state.gaveUp = true;
  clearTimeout(state.timer);
}

/** Starts a batch when it is full, or else the timer that starts it. */
function schedule(state: ResultsState): void {
  if (state.running !== undefined || state.buffered.length === 0 || state.gaveUp) return;
  if (state.buffered.length >= state.batchLimit) void start(state);
  else state.timer ??= setTimeout(start, state.parts.isBusy() ? BUSY_LINGER_MS : LINGER_MS, state);
}

/** Starts a batch, unless one is under way; returns the one under way. */
function start(state: ResultsState): Promise<void> {
  clearTimeout(state.timer);
  state.timer = undefined;
  state.running ??= writeBatch(state).finally(() => {
    state.running = undefined;
    schedule(state);
  });
  return state.running;
}

async function writeBatch(state: ResultsState): Promise<void> {
  const taken = state.buffered.slice(0, state.batchLimit);
  state.buffered = state.buffered.slice(state.batchLimit);
  const batch = taken.map(({ result }) => result);
  state.writing = batch.length;
  state.oldestWritingMs = taken[0]?.sinceMs;
  await write(state, batch);
  if (state.gaveUp) return;
  state.oldestWritingMs = undefined;
  state.parts.events.emit("recorded", { triggerIds: batch.map(({ trigger }) => trigger.id) });
}

/**
 * Tries to record results until they are durable or PostgreSQL refuses them for good. In that case each result is
 * written alone, so that one bad result does not block the others. A result that is refused alone is dropped; the
 * sweep finds its trigger and makes a new attempt.
 */
async function write(state: ResultsState, batch: readonly Result[]): Promise<void> {
  const { database, events, random } = state.parts;
  for (let failures = 0; !state.gaveUp; ) {
    try {
      const states = await recordResults(database, batch);
      if (failures > 0) events.emit("recovered", { part: "results", failures });
      return finish(state, batch, states);
    } catch (error) {
      failures += 1;
      if (failures === 1) events.emit("trouble", { part: "results", error });
      if (!isTransient(error)) return batch.length > 1 ? writeEach(state, batch) : drop(state, batch);
      if (batch.length > 1 && isStatementTimeout(error)) return writeHalves(state, batch);
      await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
    }
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof EasyCronError && error.reason === "SERVICE_UNAVAILABLE";
}

function finish(state: ResultsState, batch: readonly Result[], states: ReadonlyMap<string, string>): void {
  state.writing -= batch.length;
  if (batch.length >= state.batchLimit) state.batchLimit = Math.min(MAX_BATCH, 2 * state.batchLimit);
  for (const result of batch) state.parts.onRecorded(result, isHeld(result, states));
}

// A trigger that was not changed, or that is CANCELLED now, is not tried again by this instance.
function isHeld(result: Result, states: ReadonlyMap<string, string>): boolean {
  return result.owner !== null && states.get(result.trigger.id) === "RETRYING";
}

async function writeEach(state: ResultsState, batch: readonly Result[]): Promise<void> {
  for (const result of batch) await write(state, [result]);
}

async function writeHalves(state: ResultsState, batch: readonly Result[]): Promise<void> {
  const middle = Math.ceil(batch.length / 2);
  state.batchLimit = middle;
  await write(state, batch.slice(0, middle));
  await write(state, batch.slice(middle));
}

function drop(state: ResultsState, batch: readonly Result[]): void {
  state.writing -= batch.length;
  for (const result of batch) state.parts.onRecorded(result, false);
}
