import { toPlainArray, toTimeArray } from "../../db/array.ts";
import { type Database, isStatementTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { pause } from "../../mesh/pause.ts";
import type { NextState } from "../delivery/next-state.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { Events } from "../events/events.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { resultRecord } from "./results.sql.ts";

/** An attempt that has ended, and what is to become of its trigger. */
export interface Result {
  readonly trigger: HeldTrigger;
  /** att_…. */
  readonly attemptId: string;
  /** 1 for the first. */
  readonly number: number;
  readonly startTimeMs: number;
  readonly endTimeMs: number;
  readonly durationMs: number;
  readonly delivery: Delivery;
  readonly next: NextState;
  /** The instance that goes on holding the trigger; null when it is to be let go. */
  readonly owner: string | null;
}

/** Ended attempts on their way into the database. */
export interface Results {
  /** How many are not durable yet. */
  readonly size: number;
  /** For how long the oldest of those has waited; 0 when there is none. */
  readonly lagMs: number;
  add(result: Result): void;
  /** Writes what there is, for at most `limitMs`, and nothing after that. */
  close(limitMs: number): Promise<void>;
}

interface Waiting {
  readonly result: Result;
  readonly sinceMs: number;
}

/** Most results of one statement. */
const BATCH = 1_000;
/** How long a result may wait for others; and how long while there is more to send. */
const LINGER_MS = 10;
const BUSY_LINGER_MS = 100;
const FAILURE_PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/**
 * Makes the buffer: one statement in flight at a time, when 1,000 wait, or 10 ms after the first (100 ms
 * in a burst). A failed one is repeated until it succeeds, so results survive a database that is away; writing twice
 * changes nothing. One that runs into the pool's time limit is repeated in halves, and the next are no longer than
 * these until one of their length succeeds.
 */
export function createResults(parts: {
  readonly database: Database;
  readonly events: Events;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  /** Whether there is more to send at once: results then wait longer for others, and leave the machine to it. */
  readonly isBusy: () => boolean;
  /** Told of each durable result, and whether the trigger waits for its next attempt under our ownership. */
  readonly onRecorded: (result: Result, isHeld: boolean) => void;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
}): Results {
  const { events, random, elapsedMs = () => performance.now() } = parts;
  let buffered: Waiting[] = [];
  let writing = 0;
  let oldestWritingMs: number | undefined;
  let batchLimit = BATCH;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let gaveUp = false;

  // Until it is durable, or PostgreSQL says that it never will be: then each result stands for itself, so that one which
  // cannot be written stops no other. What is dropped here is found by the sweep and tried again.
  const write = async (batch: readonly Result[]): Promise<void> => {
    for (let failures = 0; !gaveUp; ) {
      try {
        const states = await record(parts.database, batch);
        if (failures > 0) events.emit("recovered", { part: "results", failures });
        writing -= batch.length;
        if (batch.length >= batchLimit) batchLimit = Math.min(BATCH, 2 * batchLimit);
        for (const result of batch) parts.onRecorded(result, isHeld(result, states));
        return;
      } catch (error) {
        failures += 1;
        if (failures === 1) events.emit("trouble", { part: "results", error });
        if (!isTransient(error)) {
          if (batch.length > 1) for (const result of batch) await write([result]);
          else drop(batch);
          return;
        }
        if (batch.length > 1 && isStatementTimeout(error)) return writeHalves(batch);
        await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
      }
    }
  };

  const writeHalves = async (batch: readonly Result[]): Promise<void> => {
    batchLimit = Math.ceil(batch.length / 2);
    const middle = batchLimit;
    await write(batch.slice(0, middle));
    await write(batch.slice(middle));
  };

  const drop = (batch: readonly Result[]): void => {
    writing -= batch.length;
    for (const result of batch) parts.onRecorded(result, false);
  };

  const writeBatch = async (): Promise<void> => {
    const taken = buffered.slice(0, batchLimit);
    buffered = buffered.slice(batchLimit);
    const batch = taken.map(({ result }) => result);
    writing = batch.length;
    oldestWritingMs = taken[0]?.sinceMs;
    await write(batch);
    if (!gaveUp) oldestWritingMs = undefined;
    if (!gaveUp) events.emit("recorded", { triggerIds: batch.map(({ trigger }) => trigger.id) });
  };

  const start = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    running ??= writeBatch().finally(() => {
      running = undefined;
      schedule();
    });
    return running;
  };

  const schedule = (): void => {
    if (running !== undefined || buffered.length === 0 || gaveUp) return;
    if (buffered.length >= batchLimit) void start();
    else timer ??= setTimeout(start, parts.isBusy() ? BUSY_LINGER_MS : LINGER_MS);
  };

  return {
    get size() {
      return buffered.length + writing;
    },
    get lagMs() {
      const sinceMs = oldestWritingMs ?? buffered[0]?.sinceMs;
      return sinceMs === undefined ? 0 : elapsedMs() - sinceMs;
    },
    add: (result) => {
      buffered.push({ result, sinceMs: elapsedMs() });
      schedule();
    },
    close: async (limitMs) => {
      const limit = pause(limitMs).then(() => {
        gaveUp = true;
      });
      while (buffered.length + writing > 0 && !gaveUp) await Promise.race([start(), limit]);
      gaveUp = true;
      clearTimeout(timer);
    },
  };
}

function isTransient(error: unknown): boolean {
  return error instanceof EasyCronError && error.reason === "SERVICE_UNAVAILABLE";
}

// A trigger that did not follow, or is CANCELLED now, is nobody's to try again.
function isHeld(result: Result, states: ReadonlyMap<string, string>): boolean {
  return result.owner !== null && states.get(result.trigger.id) === "RETRYING";
}

async function record(database: Database, batch: readonly Result[]): Promise<ReadonlyMap<string, string>> {
  const fireTimes = batch.map(({ trigger }) => trigger.fireTimeMs);
  const rows = await database.query(resultRecord, [
    toPlainArray(batch.map(({ trigger }) => trigger.id)),
    toTimeArray(fireTimes),
    toPlainArray(batch.map(({ number }) => number)),
    toPlainArray(batch.map(({ attemptId }) => attemptId)),
    toPlainArray(batch.map(({ delivery }) => delivery.outcome.kind)),
    toTimeArray(batch.map(({ startTimeMs }) => startTimeMs)),
    toPlainArray(batch.map(({ durationMs }) => durationMs)),
    toPlainArray(batch.map(({ delivery }) => statusCodeOf(delivery))),
    batch.map(({ delivery }) => delivery.error),
    batch.map(({ delivery }) => delivery.responseBody),
    toSqlTime(Math.min(...fireTimes)),
    toSqlTime(Math.max(...fireTimes)),
    `{${batch.map(toChange).join(",")}}`,
  ]);
  return new Map(rows.map(({ id, state }) => [id, state]));
}

// One member of the JSON object that the statement looks triggers up in.
function toChange({ trigger, number, next, owner, startTimeMs, endTimeMs }: Result): string {
  const start = number === trigger.attemptBase + 1 ? `"${toIso(startTimeMs)}"` : "null";
  const due = next.state === "RETRYING" ? `"${toIso(next.dueTimeMs)}"` : "null";
  const heldBy = owner === null ? "null" : `"${owner}"`;
  return `"${trigger.id}":["${next.state}",${number},"${toIso(endTimeMs)}",${start},${due},${heldBy}]`;
}

function statusCodeOf({ outcome }: Delivery): number | null {
  return "statusCode" in outcome ? outcome.statusCode : null;
}
