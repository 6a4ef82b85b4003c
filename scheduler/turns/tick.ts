import type { Clock } from "../../mesh/clock.ts";
import { createFullScan, type FullScan } from "../../mesh/full-scan.ts";
import { CLAIM_LIMIT, LATE_CLAIM_LIMIT, SET_ASIDE_CLAIM_LIMIT } from "./claim.ts";
import { handOverTimeoutMs } from "./hand-over.ts";
import { BUSY_MS, type PassParts, type PassResult, type PassState, runPass } from "./pass.ts";
import { createPassSize } from "./pass-size.ts";
import { LATE_MS } from "./turn.ts";

/** What a tick uses. */
export interface TickParts extends PassParts {
  /** Read once in each tick: everything that a tick decides, it decides for one instant. */
  readonly clock: Clock;
}

/** A search for late jobs that does not read everything reads what has been late for less than this. */
const RECENTLY_LATE_MS = 60_000;
/** The shortest time between two searches for late jobs that read everything, unless the last one found any. */
const FULL_SEARCH_EVERY_MS = 5_000;
/** Most jobs whose exact wake times are kept in memory. Beyond that, jobs are looked at with the regular tick. */
const EXACT_WAKES_LIMIT = 10_000;

/** Hands over the triggers that become due within the look-ahead. */
export interface Tick {
  /**
   * Runs three passes, each of them a transaction: first the jobs that are on time, then the late ones, then those that
   * are set aside and are tried again. Each pass claims jobs, decides their fire times, hands the events over to a
   * dispatcher, and advances the cursors once the dispatcher has made the events durable. The cursor is the outbox: after
   * a crash before the commit the next tick sends the same events again, and the dispatcher records each only once.
   *
   * Returns the number of events, whether more work is due at once, and after how many milliseconds the earliest job
   * that must be looked at exactly on time is due (Infinity if there is none).
   */
  run(): Promise<{ readonly events: number; readonly more: boolean; readonly againMs: number }>;
}

/** Makes a tick. */
export function createTick({ clock, ...parts }: TickParts): Tick {
  const size = createPassSize(handOverTimeoutMs(parts.lookAheadMs));
  const state: PassState = { parts, exactWakes: new Map(), busyProjects: new Map(), size };
  const lateScan = createFullScan(FULL_SEARCH_EVERY_MS, clock.now);
  return { run: () => runTick(state, clock, lateScan) };
}

async function runTick(state: PassState, clock: Clock, lateScan: FullScan): ReturnType<Tick["run"]> {
  const nowMs = clock.now();
  forgetPast(state, nowMs);
  const { events, more } = await runPasses(state, nowMs, lateScan);
  // How long to sleep depends on when the passes ended. It decides nothing.
  const againMs = Math.min(...state.exactWakes.values(), Number.POSITIVE_INFINITY) - clock.now();
  return { events, more, againMs };
}

async function runPasses(state: PassState, nowMs: number, lateScan: FullScan): Promise<PassResult> {
  const lateMs = nowMs - LATE_MS - state.parts.lookAheadMs;
  const onTime = await runPass(state, nowMs, {
    kind: "DUE",
    afterMs: lateMs,
    untilMs: nowMs,
    maxJobs: Math.min(CLAIM_LIMIT, state.size.maxEvents),
    isLate: false,
  });
  // The others wait while there are more jobs on time.
  if (onTime.more) return onTime;
  const late = await lateScan.run((isFull) =>
    runPass(state, nowMs, {
      kind: "DUE",
      afterMs: isFull ? null : lateMs - RECENTLY_LATE_MS,
      untilMs: lateMs,
      maxJobs: Math.min(LATE_CLAIM_LIMIT, state.size.maxEvents),
      isLate: true,
    }),
  );
  // Where some jobs are late, others may be, and for longer.
  if (late.more || late.events > 0) lateScan.request();
  const again = await runPass(state, nowMs, {
    kind: "SET_ASIDE",
    untilMs: nowMs,
    maxJobs: SET_ASIDE_CLAIM_LIMIT,
  });
  return { events: onTime.events + late.events + again.events, more: late.more || again.more };
}

function forgetPast({ exactWakes, busyProjects }: PassState, nowMs: number): void {
  for (const [projectId, untilMs] of busyProjects) {
    // The clock may have been set back.
    if (untilMs <= nowMs || untilMs > nowMs + BUSY_MS) busyProjects.delete(projectId);
  }
  for (const [uid, wakeMs] of exactWakes) if (wakeMs <= nowMs) exactWakes.delete(uid);
  if (exactWakes.size > EXACT_WAKES_LIMIT) exactWakes.clear();
}
