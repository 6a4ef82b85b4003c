import type { Database } from "../db/pool.ts";
import type { Clock } from "../mesh/clock.ts";
import { pause } from "../mesh/pause.ts";
import { createClaimer } from "./claiming/claimer.ts";
import { giveUpTriggers, groupByAttempts, unclaimTriggers } from "./claiming/claims.ts";
import type { DueWork } from "./claiming/due-work.ts";
import { createRouter } from "./claiming/router.ts";
import { createStarter } from "./claiming/starter.ts";
import type { AttemptParts } from "./delivery/attempt.ts";
import type { SpecCache } from "./delivery/spec-cache.ts";
import type { Events } from "./events/events.ts";
import type { Lease } from "./instances/lease.ts";
import { createLanes, type LaneLimits } from "./lanes/lanes.ts";
import { createLagWatch, LAG_CHECK_MS, MAX_LAG_MS } from "./results/lag-watch.ts";
import { createResults, type Result } from "./results/results.ts";
import { createDueTimer } from "./waiting/due-timer.ts";
import type { HeldTrigger } from "./waiting/held-trigger.ts";
import type { Holding } from "./waiting/holding.ts";

/** What a pipeline needs. */
export interface PipelineParts {
  readonly database: Database;
  /** For claims, which need not be on disk to be answered. */
  readonly claimDatabase: Database;
  /** For results, so that nothing else keeps them waiting. */
  readonly resultDatabase: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly specs: SpecCache;
  readonly holding: Holding;
  readonly attempt: AttemptParts;
  readonly limits: LaneLimits;
}

/**
 * The way of a held trigger: waits for its time (holding), gets into the lane of its destination (router), is claimed
 * (claimer), attempted (starter), and its result recorded (results); then it waits again, or is let go.
 */
export interface Pipeline {
  /** Holds triggers that this instance owns. */
  hold(triggers: readonly HeldTrigger[]): void;
  /** Goes on: to be called when the lease is valid again, and every second or so, as the clock may step. */
  proceed(): void;
  /** Drops everything but attempts in flight: others own it now. */
  forget(): void;
  /** Claims and starts nothing any more, waits at most `limitMs` for attempts in flight, and records their results. */
  stop(limitMs: number): Promise<void>;
}

/**
 * While more results wait to be recorded, or the oldest has waited for longer than MAX_LAG_MS, nothing is claimed: what
 * was delivered and is not recorded when the process is killed is delivered again.
 */
const MAX_RESULTS = 2_000;
const DUE_AT_ONCE = 500;
const FLUSH_LIMIT_MS = 1_000;
const POLL_MS = 5;

/** Makes a pipeline that runs until it is stopped. */
export function createPipeline(parts: PipelineParts): Pipeline {
  const { database, clock, events, lease, holding, specs, attempt } = parts;
  const lanes = createLanes<DueWork>(parts.limits);
  let isStopping = false;

  const proceed = (): void => {
    claimer.claim();
    starter.start();
  };

  const onRecorded = (result: Result, isHeld: boolean): void => {
    const { trigger, next } = result;
    if (isHeld && next.state === "RETRYING" && result.owner === lease.instance) {
      trigger.dueTimeMs = next.dueTimeMs;
      holding.wait(trigger);
      timer.reset();
    } else holding.drop(trigger);
  };

  // A part at a time: the timer calls again at once, and meanwhile the first are on their way.
  const onDue = (): void => {
    router.route(holding.takeDue(clock.now(), DUE_AT_ONCE));
    proceed();
  };

  const results = createResults({
    ...parts,
    database: parts.resultDatabase,
    isBusy: () => lanes.size > lanes.inFlight,
    onRecorded,
  });
  const lagWatch = setInterval(createLagWatch({ results, events }), LAG_CHECK_MS).unref();
  const mayStart = () => !isStopping && lease.isValid();
  const mayClaim = () => mayStart() && results.size < MAX_RESULTS && results.lagMs <= MAX_LAG_MS;
  const router = createRouter({ ...parts, lanes, onRouted: proceed });
  const claimer = createClaimer({
    ...parts,
    database: parts.claimDatabase,
    lanes,
    mayClaim,
    onClaimed: () => starter.start(),
  });
  const starter = createStarter({ ...parts, lanes, results, mayStart, onEnded: proceed });
  const timer = createDueTimer({ clock, nextDueMs: holding.nextDueMs, onDue });
  const isIdle = () => lanes.size + results.size + router.size === 0;
  events.on("recorded", () => {
    proceed();
    if (isIdle()) events.emit("idle");
  });

  // Ahead of time, so that nothing is read when it is due. What fails here is read then.
  const prefetch = (triggers: readonly HeldTrigger[]): void => {
    if (triggers.length === 0) return;
    specs.load(triggers).catch(() => {});
    const projects = new Set(triggers.map(({ projectId }) => projectId));
    attempt.signingKeys.load(projects).catch(() => {});
  };

  const unclaim = async (): Promise<void> => {
    const { waiting, ready } = lanes.clear();
    const { instance } = lease;
    const triggers = ready.map(({ trigger }) => trigger);
    for (const group of groupByAttempts(triggers, (trigger) => trigger)) {
      await unclaimTriggers(database, group, instance);
    }
    for (const { trigger } of [...waiting, ...ready]) holding.drop(trigger);
  };

  return {
    hold: (triggers) => {
      const refused: HeldTrigger[] = [];
      for (const trigger of triggers) {
        if (holding.isCrowded(trigger)) refused.push(trigger);
        else holding.add(trigger);
      }
      timer.reset();
      prefetch(triggers);
      // If this fails the sweep does it: rows that we own and do not hold.
      if (refused.length > 0) giveUpTriggers(database, refused, lease.instance).catch(() => {});
    },
    proceed: () => {
      timer.recheck();
      proceed();
    },
    forget: () => {
      holding.dropWaiting();
      router.clear();
      const { waiting, ready } = lanes.clear();
      for (const { trigger } of [...waiting, ...ready]) holding.drop(trigger);
    },
    stop: async (limitMs) => {
      isStopping = true;
      timer.stop();
      const limit = AbortSignal.timeout(limitMs);
      await waitUntil(() => claimer.size === 0, limit);
      // What cannot be undone now is freed with the rest, and then counts as an attempt.
      await unclaim().catch(() => {});
      await waitUntil(() => lanes.inFlight === 0, limit);
      await results.close(FLUSH_LIMIT_MS);
      clearInterval(lagWatch);
    },
  };
}

async function waitUntil(isDone: () => boolean, limit: AbortSignal): Promise<void> {
  while (!isDone() && !limit.aborted) await pause(POLL_MS);
}
