import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { lookBack } from "../schedules/look-back.ts";
import type { Sliced } from "../schedules/slices.ts";
import type { DueTime } from "../turns/turn.ts";
import { newJobState } from "./simulate.ts";
import {
  createVirtualJob,
  type PlayedFireTime,
  type VirtualJob,
  type VirtualJobState,
} from "./virtual-job.ts";

/** What to preview. Times are epoch milliseconds. */
export interface PreviewInput {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** The job's state at `nowMs`. */
  readonly state: VirtualJobState;
  readonly nowMs: number;
  /** Only fire times later than this are returned. */
  readonly afterMs: number;
  /** The most fire times to return. */
  readonly count: number;
}

/** A fire time, and when it would be delivered. Times are epoch milliseconds. */
export interface PreviewedFireTime {
  readonly atMs: number;
  /** When its trigger would be due. Null if it makes no trigger. */
  readonly effectiveMs: number | null;
  /** Why it makes no trigger. Null if it makes one. */
  readonly reason: SkipReason | null;
  readonly place: DueTime;
}

/** The result of a preview. */
export interface Preview {
  /** The next fire times, in ascending order. */
  readonly fireTimes: readonly PreviewedFireTime[];
  /** Whether the job has no further fire time: its schedule has ended, or `maxFires` is used up. */
  readonly ended: boolean;
  /** Whether `maxFires` was taken into account. False if too many fire times come before the ones to return. */
  readonly limitCounted: boolean;
}

/** The most fire times that are played before the first one to return, to know how many of `maxFires` are left. */
export const COUNTED_LIMIT = 10_000;

/**
 * Returns the next fire times of a job and the outcome of each. It plays the job with the scheduler's own turns, on a
 * clock of its own. It assumes that there are no outages and that every trigger finishes at once.
 *
 * 1. If the job has `maxFires` and `afterMs` is not in the past, it plays the job from now on. So fire times that wait,
 *    requests to skip, and the fires that are left all count. It gives up after 10,000 fire times.
 * 2. Otherwise it starts close to `afterMs`. If a calendar defers fire times, it starts at the last fire time up to
 *    `afterMs` that no calendar skips, because that one may already have taken the opening to which the next one is
 *    deferred. For a preview of the past, `maxFires` counts only fire times later than now: what the job has fired
 *    since then says nothing about the past.
 */
export function* preview(given: PreviewInput): Sliced<Preview> {
  const { schedule, gates, state, nowMs, afterMs } = given;
  const limited = schedule.policies.maxFires > 0;
  if (afterMs >= nowMs && limited) {
    const job = createVirtualJob({ schedule, gates, state });
    const played = yield* play(given, job, nowMs, COUNTED_LIMIT);
    if (played !== null) return { ...played, limitCounted: true };
  }
  const deferring = gates.some(({ outside }) => outside === "DEFER");
  const fromMs = deferring ? ((yield* lookBack(schedule, gates, afterMs)) ?? afterMs + 1) - 1 : afterMs;
  const live = afterMs >= nowMs && fromMs <= nowMs;
  const unlimited = { ...schedule, policies: { ...schedule.policies, maxFires: 0 } };
  const start = live ? state : stateAt(given, fromMs);
  const job = createVirtualJob({ schedule: unlimited, gates, state: start });
  const played = yield* play(given, job, live ? nowMs : fromMs, Number.POSITIVE_INFINITY);
  return { fireTimes: [], ended: false, ...played, limitCounted: !limited || afterMs < nowMs };
}

/** The state of a job that starts at `fromMs` with the same requests to skip. */
function stateAt({ schedule, state }: PreviewInput, fromMs: number): VirtualJobState {
  const { position, ...rest } = newJobState(schedule, fromMs, fromMs);
  const { requested } = state.position.carry;
  return { ...rest, position: { ...position, carry: { ...position.carry, requested } } };
}

/** Plays the job and returns the fire times to show. Null if more than `most` other fire times come before them. */
function* play(
  given: PreviewInput,
  job: VirtualJob,
  fromMs: number,
  most: number,
): Sliced<Pick<Preview, "fireTimes" | "ended"> | null> {
  const { schedule, afterMs, count } = given;
  const shown: PreviewedFireTime[] = [];
  const show = (fire: PlayedFireTime): void => {
    shown.push({
      atMs: fire.atMs,
      effectiveMs: fire.trigger?.effectiveMs ?? null,
      reason: fire.reason,
      place: job.dueTimeOf(fire.atMs),
    });
  };
  let past = 0;
  let counting = afterMs >= given.nowMs || schedule.policies.maxFires === 0;
  for (let nowMs = fromMs; ; ) {
    if (!counting && nowMs > given.nowMs) {
      countFromNow(given, job);
      counting = true;
    }
    const { decided, wakeMs } = job.take(nowMs);
    for (const fire of decided) {
      if (fire.atMs > afterMs) show(fire);
      else past += 1;
    }
    const waiting = waitingAfter(job, afterMs);
    const enough = shown.length + waiting.length >= count;
    if (past > most) return null;
    if (enough || wakeMs === null || (yield)) {
      shown.push(...waiting.map((atMs) => predictWaiting(job, atMs, nowMs)));
      shown.sort((a, b) => a.atMs - b.atMs);
      return { fireTimes: shown.slice(0, count), ended: wakeMs === null };
    }
    nowMs = Math.max(nowMs, wakeMs);
  }
}

/** Makes the job count against `maxFires` from here on, starting from what the real job has fired by now. */
function countFromNow({ schedule, state }: PreviewInput, job: VirtualJob): void {
  const played = job.state();
  const { lastSeq } = state.position;
  job.setState({ ...played, position: { ...played.position, lastSeq } }, schedule);
}

function waitingAfter(job: VirtualJob, afterMs: number): readonly number[] {
  const { waiting } = job.state().position.carry;
  return waiting.length === 0 ? waiting : waiting.filter((atMs) => atMs > afterMs);
}

/** Predicts the outcome of a fire time that waits for its delay, for a calendar to open, or for an earlier trigger. */
function predictWaiting(job: VirtualJob, atMs: number, nowMs: number): PreviewedFireTime {
  const place = job.dueTimeOf(atMs);
  const { requested } = job.state().position.carry;
  const skipped = requested.includes(atMs) ? "SKIPPED_BY_REQUEST" : null;
  const reason = skipped ?? (place.kind === "SKIP" ? "OUTSIDE_CALENDAR" : null);
  const effectiveMs = reason === null && place.kind === "AT" ? Math.max(place.atMs, nowMs) : null;
  return { atMs, effectiveMs, reason, place };
}
