import { isItemFault } from "../../db/item-fault.ts";
import { type Database, isStatementTimeout } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import { pause } from "../../mesh/pause.ts";
import type { Events } from "../events/events.ts";
import type { SetAside } from "../set-aside/set-aside.ts";
import { createPutOff, LONG_TRIES, type PutOff } from "./put-off.ts";
import { recordResults } from "./record-results.ts";
import type { RecordAnswer, Result } from "./result.ts";

/** A buffer of results that are not recorded yet. */
export interface Results {
  /** How many results are not durable yet. Those that were put off are not counted. */
  readonly size: number;
  /** How long the oldest of these has waited, in milliseconds; 0 when there is none. */
  readonly lagMs: number;
  /** How many results were put off. */
  readonly putOffSize: number;
  /** Returns how many results of a project were put off. */
  putOffOf(projectId: string): number;
  add(result: Result): void;
  /** Records what is buffered, for at most `limitMs`. After that, nothing more is recorded. */
  close(limitMs: number): Promise<void>;
}

/** What the buffer needs. */
export interface ResultsParts {
  readonly database: Database;
  readonly events: Events;
  readonly setAside: SetAside;
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
  readonly putOff: PutOff;
  /** Results that no statement has taken yet, oldest first. */
  buffered: BufferedResult[];
  /** How many results of the batch under way are not durable yet. */
  writing: number;
  /** How many results the last batch had when it was sent. */
  lastSize: number;
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
/** How long the first result waits for others: when few come, normally, and while `isBusy`. */
const SHORT_LINGER_MS = 10;
const LINGER_MS = 25;
const BUSY_LINGER_MS = 100;
/** The statement before had at least this many results: then enough come to make waiting for them worth it. */
const MANY = 4;
/** Stored as the error of an attempt in place of what the customer's endpoint said. */
const WITHOUT_TEXTS = "What the target answered is not stored, because the database refused it.";
const CLOSING_PAUSE_MS = 50;
const FAILURE_PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/**
 * Makes the buffer. One statement is in flight at a time. It is sent when 1,000 results wait, or 25 ms after the first
 * result (100 ms while `isBusy`, and 10 ms if the statement before had fewer than four).
 *
 * A statement that fails is repeated until it succeeds, so results survive a database that is away; recording the same
 * result twice changes nothing. A statement that exceeds the pool's time limit is repeated in halves. Later statements
 * are no longer than these halves until one of that length succeeds.
 *
 * No result delays the others. One whose trigger is locked by another transaction is put off. A batch that PostgreSQL
 * refuses is halved until the result is found that it refuses alone. That result is recorded without its texts, the
 * error and the answer's body; if that is refused too, it is set aside and tried again after a minute or more.
 */
export function createResults(parts: ResultsParts): Results {
  const elapsedMs = parts.elapsedMs ?? (() => performance.now());
  const state: ResultsState = {
    parts,
    elapsedMs,
    putOff: createPutOff({ random: parts.random, onDue: (result) => add(state, result) }),
    buffered: [],
    writing: 0,
    lastSize: 0,
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
    get putOffSize() {
      return state.putOff.size;
    },
    putOffOf: state.putOff.countOf,
    add: (result) => add(state, result),
    close: (limitMs) => close(state, limitMs),
  };
}

function add(state: ResultsState, result: Result): void {
  state.buffered.push({ result, sinceMs: state.elapsedMs() });
  schedule(state);
}

function sizeOf({ buffered, writing }: ResultsState): number {
  return buffered.length + writing;
}

async function close(state: ResultsState, limitMs: number): Promise<void> {
  const limit = pause(limitMs).then(() => {
    state.gaveUp = true;
  });
  while (sizeOf(state) + state.putOff.briefSize > 0 && !state.gaveUp) {
    // Results whose triggers are locked get as many more tries as there is time for.
    if (sizeOf(state) === 0) await Promise.race([pause(CLOSING_PAUSE_MS), limit]);
    state.putOff.hurry();
    await Promise.race([start(state), limit]);
  }
  state.gaveUp = true;
  clearTimeout(state.timer);
}

/** Starts a batch when it is full, or else the timer that starts it. */
function schedule(state: ResultsState): void {
  if (state.running !== undefined || state.buffered.length === 0 || state.gaveUp) return;
  if (state.buffered.length >= state.batchLimit) void start(state);
  else state.timer ??= setTimeout(start, lingerMs(state), state);
}

function lingerMs({ parts, lastSize }: ResultsState): number {
  if (parts.isBusy()) return BUSY_LINGER_MS;
  return lastSize < MANY ? SHORT_LINGER_MS : LINGER_MS;
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
  state.lastSize = batch.length;
  state.oldestWritingMs = taken[0]?.sinceMs;
  const recorded = await write(state, batch);
  if (state.gaveUp) return;
  state.oldestWritingMs = undefined;
  state.parts.events.emit("recorded", { triggerIds: recorded.map(({ trigger }) => trigger.id) });
}

/**
 * Tries to write results until each is durable, put off or set aside. Returns those that are durable. A batch that fails
 * because of its content or takes too long is written in halves.
 */
async function write(state: ResultsState, batch: readonly Result[]): Promise<readonly Result[]> {
  const { database, events, random } = state.parts;
  for (let failures = 0; !state.gaveUp; ) {
    try {
      const answer = await recordResults(database, batch);
      if (failures > 0) events.emit("recovered", { part: "results", failures });
      return finish(state, batch, answer);
    } catch (error) {
      const isRefused = isItemFault(error);
      failures += 1;
      // What is refused alone is reported where it is handled.
      if (!isRefused) events.emit("trouble", { part: "results", error });
      if (batch.length > 1 && (isRefused || isStatementTimeout(error))) {
        return writeHalves(state, batch, isRefused ? state.batchLimit : Math.ceil(batch.length / 2));
      }
      const [only] = batch;
      if (isRefused && only !== undefined) return writeWithoutTexts(state, only, error);
      await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
    }
  }
  return [];
}

function finish(
  state: ResultsState,
  batch: readonly Result[],
  { states, locked }: RecordAnswer,
): readonly Result[] {
  state.writing -= batch.length;
  state.parts.events.emit("changed", { states });
  if (batch.length >= state.batchLimit) state.batchLimit = Math.min(MAX_BATCH, 2 * state.batchLimit);
  let recorded = batch;
  if (locked.size > 0) {
    recorded = batch.filter(({ trigger }) => !locked.has(trigger.id));
    for (const result of batch) if (locked.has(result.trigger.id)) putOffLocked(state, result);
  }
  for (const result of recorded) {
    state.putOff.recorded(result);
    state.parts.onRecorded(result, isHeld(result, states));
  }
  state.parts.setAside.remove(
    "result",
    recorded.map(({ attemptId }) => attemptId),
  );
  return recorded;
}

function putOffLocked({ parts, putOff }: ResultsState, result: Result): void {
  if (putOff.add(result) < LONG_TRIES) return;
  const why = "Another transaction has locked the row of its trigger.";
  const error = new Error(`The result of attempt ${result.attemptId} cannot be recorded. ${why}`);
  parts.events.emit("trouble", { part: "results that wait for their rows", error });
}

// A trigger that was not changed, or that is CANCELLED now, is not tried again by this instance.
function isHeld(result: Result, states: ReadonlyMap<string, string>): boolean {
  return result.owner !== null && states.get(result.trigger.id) === "RETRYING";
}

async function writeHalves(
  state: ResultsState,
  batch: readonly Result[],
  batchLimit: number,
): Promise<readonly Result[]> {
  const middle = Math.ceil(batch.length / 2);
  state.batchLimit = batchLimit;
  const first = await write(state, batch.slice(0, middle));
  return [...first, ...(await write(state, batch.slice(middle)))];
}

/**
 * Writes a result that PostgreSQL refuses: without its texts, because nothing else in it comes from outside. The stored
 * error says so. If that is refused too, for example because the trigger's row is damaged, the result is set aside.
 * Its trigger stays held, so that it is not delivered again meanwhile.
 */
async function writeWithoutTexts(
  state: ResultsState,
  result: Result,
  refusal: unknown,
): Promise<readonly Result[]> {
  const { database, events, setAside } = state.parts;
  const delivery = { ...result.delivery, error: WITHOUT_TEXTS, responseBody: "" };
  try {
    const answer = await recordResults(database, [{ ...result, delivery }]);
    events.emit("trouble", { part: `the texts of attempt ${result.attemptId}`, error: refusal });
    return finish(state, [result], answer);
  } catch (error) {
    if (!isItemFault(error)) {
      await pause(FAILURE_PAUSE.maxMs);
      return write(state, [result]);
    }
    const { projectId, jobUid } = result.trigger;
    const id = result.attemptId;
    const pauses = await setAside.put("result", [{ id, projectId, jobUid, error: refusal }]);
    state.writing -= 1;
    state.putOff.add(result, pauses.get(id));
    return [];
  }
}
