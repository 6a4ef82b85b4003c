import type { Clock } from "../../mesh/clock.ts";
import { createFullScan, type FullScan } from "../../mesh/full-scan.ts";
import { CLAIM_LIMIT, type Claim, findDueWork, LATE_CLAIM_LIMIT, SET_ASIDE_CLAIM_LIMIT } from "./claim.ts";
import { createFairShare, type FairShare } from "./fair-share.ts";
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
   * Looks whether anything is due, and if so runs up to three passes, each of them a transaction: first the jobs that are
   * on time, then the late ones, then those that are set aside and are tried again. Each pass claims jobs, decides their fire times, hands the events over to a
   * dispatcher, and advances the cursors once the dispatcher has made the events durable. The cursor is the outbox: after
   * a crash before the commit the next tick sends the same events again, and the dispatcher records each only once.
   *
   * Returns the number of events, whether more work is due at once, and after how many milliseconds the earliest job
   * that must be looked at exactly on time is due (Infinity if there is none).
   */
  run(): Promise<{ readonly events: number; readonly more: boolean; readonly againMs: number }>;
}

/** What ticks remember. */
interface TickState {
  readonly passes: PassState;
  readonly clock: Clock;
  readonly lateScan: FullScan;
  /** For the jobs that are on time, and for the late ones. */
  readonly shares: { readonly onTime: FairShare; readonly late: FairShare };
}

/** Makes a tick. */
export function createTick({ clock, ...parts }: TickParts): Tick {
  const size = createPassSize(handOverTimeoutMs(parts.lookAheadMs));
  const state: PassState = { parts, exactWakes: new Map(), busyProjects: new Map(), size };
  const lateScan = createFullScan(FULL_SEARCH_EVERY_MS, clock.now);
  const shares = { onTime: createFairShare(), late: createFairShare() };
  return { run: () => runTick({ passes: state, clock, lateScan, shares }) };
}

async function runTick(state: TickState): ReturnType<Tick["run"]> {
  const { passes, clock } = state;
  const nowMs = clock.now();
  forgetPast(passes, nowMs);
  const { events, more } = await runPasses(state, nowMs);
  // How long to sleep depends on when the passes ended. It decides nothing.
  const againMs = Math.min(...passes.exactWakes.values(), Number.POSITIVE_INFINITY) - clock.now();
  return { events, more, againMs };
}

const NOTHING: PassResult = { events: 0, more: false };

async function runPasses({ passes, lateScan, shares }: TickState, nowMs: number): Promise<PassResult> {
  const { maxEvents } = passes.size;
  const lateMs = nowMs - LATE_MS - passes.parts.lookAheadMs;
  const lateFromMs = lateMs - RECENTLY_LATE_MS;
  const due = await findDueWork(passes.parts.database, { untilMs: nowMs, lateMs, lateFromMs });
  // Most jobs have one event in a pass. There is room for some whose turns have none.
  const maxJobs = Math.max(LATE_CLAIM_LIMIT, Math.min(CLAIM_LIMIT, maxEvents));
  const onTime = due.onTime
    ? await runShared(passes, nowMs, shares.onTime, { afterMs: lateMs, untilMs: nowMs, maxJobs, leftOut: [] })
    : NOTHING;
  if (!due.onTime) shares.onTime.endRound(0);
  // The others wait while there are more jobs on time.
  if (onTime.more) return onTime;
  const late = await lateScan.run(async (isFull) => {
    if (!isFull && !due.late) {
      shares.late.endRound(0);
      return NOTHING;
    }
    const afterMs = isFull ? null : lateFromMs;
    const leftOut = [...passes.busyProjects.keys()];
    const claim = { afterMs, untilMs: lateMs, maxJobs: LATE_CLAIM_LIMIT, leftOut };
    return runShared(passes, nowMs, shares.late, claim);
  });
  // Where some jobs are late, others may be, and for longer.
  if (late.more || late.events > 0) lateScan.request();
  const again = due.setAside
    ? await runPass(passes, nowMs, { kind: "SET_ASIDE", untilMs: nowMs, maxJobs: SET_ASIDE_CLAIM_LIMIT })
    : NOTHING;
  return { events: onTime.events + late.events + again.events, more: late.more || again.more };
}

/** Runs a pass that passes over the projects which have had more than their share. */
async function runShared(
  passes: PassState,
  nowMs: number,
  share: FairShare,
  due: Omit<Claim & { readonly kind: "DUE" }, "kind">,
): Promise<PassResult> {
  const passedOver = share.passedOver();
  const claim: Claim = { kind: "DUE", ...due, leftOut: [...due.leftOut, ...passedOver] };
  const beganMs = performance.now();
  let isClaimed = false;
  try {
    const { events, more } = await runPass(passes, nowMs, claim, (jobs, tookMs) => {
      isClaimed = true;
      share.claimed(jobs, claim.maxJobs, tookMs);
    });
    return { events, more: more || passedOver.length > 0 };
  } catch (error) {
    if (!isClaimed) share.endRound(performance.now() - beganMs);
    throw error;
  }
}

function forgetPast({ exactWakes, busyProjects }: PassState, nowMs: number): void {
  for (const [projectId, untilMs] of busyProjects) {
    // The clock may have been set back.
    if (untilMs <= nowMs || untilMs > nowMs + BUSY_MS) busyProjects.delete(projectId);
  }
  for (const [uid, wakeMs] of exactWakes) if (wakeMs <= nowMs) exactWakes.delete(uid);
  if (exactWakes.size > EXACT_WAKES_LIMIT) exactWakes.clear();
}
