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
  /** Whether fire times that make no trigger are returned too. Otherwise they are only counted. */
  readonly showSkipped: boolean;
}

/** A fire time, and when it would be delivered. Times are epoch milliseconds. */
export interface PreviewedFireTime {
  readonly atMs: number;
  /** When its trigger would be due. Null if it makes no trigger. */
  readonly effectiveMs: number | null;
  /** Why it makes no trigger. Null if it makes one. */
  readonly reason: SkipReason | null;
  readonly place: DueTime;
  /** How many fire times that are left out lie between the one returned before this one, or `afterMs`, and this one. */
  readonly skippedBefore: number;
}

/** A fire time of the preview, before it is known what is left out. */
type FoundFireTime = Omit<PreviewedFireTime, "skippedBefore">;

/** The result of a preview. */
export interface Preview {
  /** The next fire times, in ascending order. */
  readonly fireTimes: readonly PreviewedFireTime[];
  /** How many fire times that are left out lie after the last one returned, up to `untilMs`. */
  readonly skippedAfter: number;
  /** Every fire time later than `afterMs` and up to this instant is returned or counted. Null if there are no others. */
  readonly untilMs: number | null;
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
    if (played !== null) return { ...chooseShown(given, played), limitCounted: true };
  }
  const deferring = gates.some(({ outside }) => outside === "DEFER");
  const fromMs = deferring ? ((yield* lookBack(schedule, gates, afterMs)) ?? afterMs + 1) - 1 : afterMs;
  const live = afterMs >= nowMs && fromMs <= nowMs;
  const unlimited = { ...schedule, policies: { ...schedule.policies, maxFires: 0 } };
  const start = live ? state : stateAt(given, fromMs);
  const job = createVirtualJob({ schedule: unlimited, gates, state: start });
  const played = yield* play(given, job, live ? nowMs : fromMs, Number.POSITIVE_INFINITY);
  const limitCounted = !limited || afterMs < nowMs;
  return { ...chooseShown(given, played ?? NOTHING_PLAYED), limitCounted };
}

/** The state of a job that starts at `fromMs` with the same requests to skip. */
function stateAt({ schedule, state }: PreviewInput, fromMs: number): VirtualJobState {
  const { position, ...rest } = newJobState(schedule, fromMs, fromMs);
  const { requested } = state.position.carry;
  return { ...rest, position: { ...position, carry: { ...position.carry, requested } } };
}

/** The fire times that were played. Times are epoch milliseconds. */
interface PlayedTimes {
  /** Those later than `afterMs` that are to be returned, in ascending order. */
  readonly fireTimes: readonly FoundFireTime[];
  /** Those later than `afterMs` that are only counted, in ascending order. */
  readonly skipped: readonly number[];
  /** The first fire time that was not played. Null if all were. */
  readonly nextMs: number | null;
  readonly ended: boolean;
}

const NOTHING_PLAYED: PlayedTimes = { fireTimes: [], skipped: [], nextMs: null, ended: false };

/**
 * Plays the job until `count` fire times to show are found, and returns all that were played. Null if more than `most`
 * fire times come before `afterMs`.
 */
function* play(
  given: PreviewInput,
  job: VirtualJob,
  fromMs: number,
  most: number,
): Sliced<PlayedTimes | null> {
  const { schedule, afterMs, count, showSkipped } = given;
  const isShown = ({ reason }: Pick<PlayedFireTime, "reason">): boolean => showSkipped || reason === null;
  const shown: FoundFireTime[] = [];
  const skipped: number[] = [];
  let past = 0;
  let counting = afterMs >= given.nowMs || schedule.policies.maxFires === 0;
  for (let nowMs = fromMs; ; ) {
    if (!counting && nowMs > given.nowMs) {
      countFromNow(given, job);
      counting = true;
    }
    const { decided, wakeMs } = job.take(nowMs);
    for (const fire of decided) {
      if (fire.atMs <= afterMs) past += 1;
      else if (isShown(fire)) shown.push(toFound(job, fire));
      else skipped.push(fire.atMs);
    }
    if (past > most) return null;
    const waiting = waitingAfter(job, afterMs).map((atMs) => predictWaiting(job, atMs, nowMs));
    const enough = shown.length + waiting.filter(isShown).length >= count;
    if (enough || wakeMs === null || (yield)) {
      shown.push(...waiting.filter(isShown));
      skipped.push(...waiting.filter((fire) => !isShown(fire)).map(({ atMs }) => atMs));
      shown.sort((a, b) => a.atMs - b.atMs);
      skipped.sort((a, b) => a - b);
      const nextMs = wakeMs === null ? null : job.state().position.nextFireTimeMs;
      return { fireTimes: shown, skipped, nextMs, ended: wakeMs === null };
    }
    nowMs = Math.max(nowMs, wakeMs);
  }
}

/** Returns the first `count` of the fire times to show, and counts those between them that are left out. */
function chooseShown(
  { afterMs, count }: PreviewInput,
  { fireTimes, skipped, nextMs, ended }: PlayedTimes,
): Omit<Preview, "limitCounted"> {
  let counted = 0;
  const countBefore = (atMs: number): number => {
    const first = counted;
    for (let next = skipped[counted]; next !== undefined && next < atMs; next = skipped[counted])
      counted += 1;
    return counted - first;
  };
  const shown = fireTimes.slice(0, count).map((fire) => ({ ...fire, skippedBefore: countBefore(fire.atMs) }));
  const last = shown.at(-1);
  const isComplete = nextMs === null && fireTimes.length === shown.length;
  if (last !== undefined && shown.length === count && !isComplete) {
    return { fireTimes: shown, skippedAfter: 0, untilMs: last.atMs, ended };
  }
  const skippedAfter = countBefore(Number.POSITIVE_INFINITY);
  const untilMs = nextMs === null ? null : Math.max(afterMs, nextMs - 1);
  return { fireTimes: shown, skippedAfter, untilMs, ended };
}

function toFound(job: VirtualJob, { atMs, trigger, reason }: PlayedFireTime): FoundFireTime {
  return { atMs, effectiveMs: trigger?.effectiveMs ?? null, reason, place: job.dueTimeOf(atMs) };
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
function predictWaiting(job: VirtualJob, atMs: number, nowMs: number): FoundFireTime {
  const place = job.dueTimeOf(atMs);
  const { requested } = job.state().position.carry;
  const skipped = requested.includes(atMs) ? "SKIPPED_BY_REQUEST" : null;
  const reason = skipped ?? (place.kind === "SKIP" ? "OUTSIDE_CALENDAR" : null);
  const effectiveMs = reason === null && place.kind === "AT" ? Math.max(place.atMs, nowMs) : null;
  return { atMs, effectiveMs, reason, place };
}
