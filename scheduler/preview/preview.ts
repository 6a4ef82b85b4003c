import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { lookBack } from "../schedules/look-back.ts";
import type { Sliced } from "../schedules/slices.ts";
import type { Place } from "../turns/turn.ts";
import { standingAfter } from "./simulate.ts";
import { createVirtualJob, type PlayedFireTime, type Standing, type VirtualJob } from "./virtual-job.ts";

/** What is previewed. */
export interface PreviewInput {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** Where the job stands now. */
  readonly standing: Standing;
  readonly nowMs: number;
  /** Fire times are later than this. */
  readonly afterMs: number;
  readonly count: number;
}

/** A fire time and when it is to be delivered. */
export interface PreviewedFireTime {
  readonly atMs: number;
  /** Null if it makes no trigger. */
  readonly effectiveMs: number | null;
  /** Why it makes none. */
  readonly reason: SkipReason | null;
  readonly place: Place;
}

/** The next fire times. */
export interface Preview {
  readonly fireTimes: readonly PreviewedFireTime[];
  /** There are no others: the schedule, or what it may still fire, has come to its end. */
  readonly ended: boolean;
  /** Whether what the job may still fire was counted; false when that lies too far ahead. */
  readonly limitCounted: boolean;
}

/** How many fire times between now and the first one wanted are played to know how often the job may still fire. */
export const COUNTED_LIMIT = 10_000;

/**
 * Plays a job by the turns that the scheduler takes, on a clock of its own and without outages, and tells of its next
 * fire times what becomes of them. Triggers are taken to need no time.
 *
 * 1. It is played from now, so that what waits, what is to be skipped by request and how often it may still fire count.
 * 2. Where that is far from `afterMs`, or later, it is played from the fire time that may have taken the opening which
 *    the next is deferred to; what it has fired before now says nothing of a view into the past, so that a limit counts
 *    from now on.
 */
export function* preview(given: PreviewInput): Sliced<Preview> {
  const { schedule, gates, standing, nowMs, afterMs } = given;
  const limited = schedule.policies.maxFires > 0;
  if (afterMs >= nowMs && limited) {
    const job = createVirtualJob({ schedule, gates, standing });
    const played = yield* play(given, job, nowMs, COUNTED_LIMIT);
    if (played !== null) return { ...played, limitCounted: true };
  }
  const deferring = gates.some(({ outside }) => outside === "DEFER");
  const fromMs = deferring ? ((yield* lookBack(schedule, gates, afterMs)) ?? afterMs + 1) - 1 : afterMs;
  const live = afterMs >= nowMs && fromMs <= nowMs;
  const unlimited = { ...schedule, policies: { ...schedule.policies, maxFires: 0 } };
  const start = live ? standing : standingLater(given, fromMs);
  const job = createVirtualJob({ schedule: unlimited, gates, standing: start });
  const played = yield* play(given, job, live ? nowMs : fromMs, Number.POSITIVE_INFINITY);
  return { fireTimes: [], ended: false, ...played, limitCounted: !limited || afterMs < nowMs };
}

function standingLater({ schedule, standing }: PreviewInput, fromMs: number): Standing {
  const { position, ...later } = standingAfter(schedule, fromMs, fromMs);
  const { requested } = standing.position.carry;
  return { ...later, position: { ...position, carry: { ...position.carry, requested } } };
}

/** The fire times that are wanted; null when more than `most` others come before them. */
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
      place: job.placeOf(fire.atMs),
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
      shown.push(...waiting.map((atMs) => foresee(job, atMs, nowMs)));
      shown.sort((a, b) => a.atMs - b.atMs);
      return { fireTimes: shown.slice(0, count), ended: wakeMs === null };
    }
    nowMs = Math.max(nowMs, wakeMs);
  }
}

/** From here on it counts how often the job has fired and may fire. */
function countFromNow({ schedule, standing }: PreviewInput, job: VirtualJob): void {
  const played = job.standing();
  const { lastSeq } = standing.position;
  job.goOn({ ...played, position: { ...played.position, lastSeq } }, schedule);
}

function waitingAfter(job: VirtualJob, afterMs: number): readonly number[] {
  const { waiting } = job.standing().position.carry;
  return waiting.length === 0 ? waiting : waiting.filter((atMs) => atMs > afterMs);
}

/** What becomes of a fire time that waits: for its delay, for an opening, or for the one before to be delivered. */
function foresee(job: VirtualJob, atMs: number, nowMs: number): PreviewedFireTime {
  const place = job.placeOf(atMs);
  const { requested } = job.standing().position.carry;
  const skipped = requested.includes(atMs) ? "SKIPPED_BY_REQUEST" : null;
  const reason = skipped ?? (place.kind === "SKIP" ? "OUTSIDE_CALENDAR" : null);
  const effectiveMs = reason === null && place.kind === "AT" ? Math.max(place.atMs, nowMs) : null;
  return { atMs, effectiveMs, reason, place };
}
