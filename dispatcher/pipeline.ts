import type { Database } from "../db/pool.ts";
import type { Clock } from "../mesh/clock.ts";
import { type Admission, createAdmission } from "./claiming/admission.ts";
import { type Claimer, createClaimer } from "./claiming/claimer.ts";
import { giveUpTriggers } from "./claiming/claims.ts";
import { createDueLanes, type DueLimits } from "./claiming/due-lanes.ts";
import type { DueLanes } from "./claiming/due-work.ts";
import { createPutBack } from "./claiming/put-back.ts";
import { createRouter, type Router } from "./claiming/router.ts";
import { createStarter, type Starter } from "./claiming/starter.ts";
import type { AttemptParts } from "./delivery/attempt.ts";
import { prefetchSecrets } from "./delivery/prefetch-secrets.ts";
import type { SpecCache } from "./delivery/spec-cache.ts";
import type { Events } from "./events/events.ts";
import type { FlowStore } from "./flow/flow-store.ts";
import type { Lease } from "./instances/lease.ts";
import type { WorkCounts } from "./measuring/measure-work.ts";
import { dropDue, type StopOptions, stopPipeline } from "./pipeline-stop.ts";
import { createLagWatch, LAG_CHECK_MS, MAX_LAG_MS } from "./results/lag-watch.ts";
import type { Result } from "./results/result.ts";
import { createResults, type Results } from "./results/results.ts";
import type { SetAside } from "./set-aside/set-aside.ts";
import type { TriggerTraces } from "./tracing/trigger-traces.ts";
import { createDueTimer, type DueTimer } from "./waiting/due-timer.ts";
import type { HeldTrigger } from "./waiting/held-trigger.ts";
import type { Holding } from "./waiting/holding.ts";

/** What a pipeline needs. */
export interface PipelineParts {
  readonly database: Database;
  /** For claims; it answers before a claim is on disk. */
  readonly claimDatabase: Database;
  /** For results, so that nothing else delays them. */
  readonly resultDatabase: Database;
  /** For the order of triggers and what they wait for, so that one project's waiting delays no result. */
  readonly waitDatabase: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly specs: SpecCache;
  readonly holding: Holding;
  readonly attempt: AttemptParts;
  readonly limits: DueLimits;
  readonly setAside: SetAside;
  /** The limits of flow keys. */
  readonly flowStore: FlowStore;
  /** Records the traces of triggers; absent when nobody gets them. */
  readonly traces?: TriggerTraces | undefined;
}

/**
 * The path of a held trigger. It waits for its time (holding), is put into the lane of its destination (router), unless it
 * has to wait for its flow key or its destination (admission), is claimed (claimer), is attempted (starter),
 * and its result is recorded (results). Then it waits for its next attempt, or is dropped.
 */
export interface Pipeline {
  /** Holds triggers that this instance owns. */
  hold(triggers: readonly HeldTrigger[]): void;
  /**
   * Claims and starts what can be claimed and started now. To be called when the lease is valid again, and about once a
   * second, because the clock may step.
   */
  proceed(): void;
  /** Counts what is in memory now. */
  count(): WorkCounts;
  /** Drops every trigger that has no attempt in flight, because this instance has lost them. */
  forget(): void;
  /**
   * Gives up what other dispatchers can take in time, starts what is due before that, waits for attempts in flight, and
   * records the results (see stopPipeline). Returns how many attempts are still in flight.
   */
  stop(options: StopOptions): Promise<number>;
}

/**
 * Nothing is claimed while this many results wait to be recorded, or while the oldest has waited for more than
 * MAX_LAG_MS. If the process is killed, each delivery that is not recorded is repeated.
 */
const MAX_RESULTS = 2_000;
/**
 * Nothing is claimed of a project while this many of its results are put off, because other transactions have locked
 * their triggers. If the process is killed, each of these deliveries is repeated, too.
 */
const MAX_PUT_OFF = 500;
/** Most triggers taken at once when many are due. The timer calls again at once; meanwhile the first are being sent. */
const DUE_AT_ONCE = 500;

interface PipelineState {
  readonly parts: PipelineParts;
  readonly lanes: DueLanes;
  readonly admission: Admission;
  readonly timer: DueTimer;
  readonly router: Router;
  readonly claimer: Claimer;
  readonly starter: Starter;
  readonly results: Results;
  /** Triggers that are due later are not held, but given up. It is not Infinity when the pipeline is about to stop. */
  holdsUntilMs: number;
  /** Whether nothing may be claimed or started any more. */
  isStopping: boolean;
}

/** Makes a pipeline that runs until it is stopped. */
export function createPipeline(parts: PipelineParts): Pipeline {
  const state = createState(parts);
  const { results, timer } = state;
  const { events } = parts;
  const lagWatch = setInterval(createLagWatch({ results, events }), LAG_CHECK_MS).unref();
  events.on("recorded", () => {
    proceed(state);
    if (isIdle(state)) events.emit("idle");
  });
  return {
    hold: (triggers) => hold(state, triggers),
    proceed: () => {
      timer.recheck();
      proceed(state);
    },
    count: () => countWork(state),
    forget: () => forget(state),
    stop: async (options) => {
      const left = await stopPipeline(state, options);
      clearInterval(lagWatch);
      return left;
    },
  };
}

function createState(parts: PipelineParts): PipelineState {
  const { clock, holding } = parts;
  const admission = createAdmission({
    ...parts,
    database: parts.waitDatabase,
    perLane: parts.limits.webhooks.perLane,
    lanes: () => lanes,
    waitUntil: (trigger, dueMs) => waitUntil(state, trigger, dueMs),
    route: (triggers) => router.route(triggers),
    onAdmitted: () => proceed(state),
  });
  const lanes = createDueLanes(parts.limits, admission.placesOf);
  const results = createResults({
    ...parts,
    database: parts.resultDatabase,
    isBusy: () => lanes.size > lanes.inFlight,
    onRecorded: (result, isHeld) => {
      parts.traces?.recorded(result);
      holdAgainOrDrop(state, result, isHeld);
    },
  });
  const putBack = createPutBack({
    ...parts,
    waitUntil: (trigger, dueMs) => waitUntil(state, trigger, dueMs),
  });
  const router = createRouter({ ...parts, admission, putBack, onRouted: () => proceed(state) });
  const claimer = createClaimer({
    ...parts,
    database: parts.claimDatabase,
    lanes,
    admission,
    putBack,
    mustGiveWay: (projectId) => results.putOffOf(projectId) >= MAX_PUT_OFF,
    mayClaim: () => mayClaim(state),
    onClaimed: () => state.starter.start(),
  });
  const starter = createStarter({
    ...parts,
    lanes,
    admission,
    results,
    mayStart: () => mayStart(state),
    onEnded: () => proceed(state),
  });
  const timer = createDueTimer({ clock, nextDueMs: holding.nextDueMs, onDue: () => routeDue(state) });
  const state: PipelineState = {
    parts,
    lanes,
    admission,
    timer,
    router,
    claimer,
    starter,
    results,
    holdsUntilMs: Number.POSITIVE_INFINITY,
    isStopping: false,
  };
  return state;
}

function mayStart({ parts, isStopping }: PipelineState): boolean {
  return !isStopping && parts.lease.isValid();
}

function mayClaim(state: PipelineState): boolean {
  const { results } = state;
  return mayStart(state) && results.size < MAX_RESULTS && results.lagMs <= MAX_LAG_MS;
}

function isIdle({ lanes, admission, results, router }: PipelineState): boolean {
  return lanes.size + admission.size + results.size + results.putOffSize + router.size === 0;
}

function countWork({ lanes, router, admission, results }: PipelineState): WorkCounts {
  return {
    waitingOurs: lanes.size - lanes.inFlight + router.size,
    waitingTheirs: admission.size,
    inFlight: lanes.inFlight,
    results: results.size + results.putOffSize,
    resultsAgeMs: results.lagMs,
    blocked: admission.blocked,
  };
}

function proceed({ claimer, starter }: PipelineState): void {
  claimer.claim();
  starter.start();
}

function routeDue(state: PipelineState): void {
  const { holding, clock } = state.parts;
  state.router.route(holding.takeDue(clock.now(), DUE_AT_ONCE));
  proceed(state);
}

function holdAgainOrDrop(state: PipelineState, result: Result, isHeld: boolean): void {
  const { holding, lease } = state.parts;
  const { trigger, next } = result;
  if (isHeld && next.state === "RETRYING" && result.owner === lease.instance) {
    if (next.dueTimeMs <= state.holdsUntilMs) {
      waitUntil(state, trigger, next.dueTimeMs);
      return;
    }
    giveUp(state, [trigger]);
  }
  holding.drop(trigger);
}

/** Makes a held trigger wait until an instant. */
function waitUntil({ parts, timer }: PipelineState, trigger: HeldTrigger, dueMs: number): void {
  trigger.dueTimeMs = dueMs;
  parts.holding.wait(trigger);
  timer.reset();
}

function hold(state: PipelineState, triggers: readonly HeldTrigger[]): void {
  const { parts, timer, holdsUntilMs } = state;
  const { holding } = parts;
  const refused: HeldTrigger[] = [];
  for (const trigger of triggers) {
    if (trigger.dueTimeMs > holdsUntilMs || holding.isCrowded(trigger)) refused.push(trigger);
    else holding.add(trigger);
  }
  timer.reset();
  prefetch(parts, triggers);
  if (refused.length > 0) giveUp(state, refused);
}

function giveUp({ parts }: PipelineState, triggers: readonly HeldTrigger[]): void {
  // If this fails, the sweep gives them up: it looks for rows that this instance owns and does not hold.
  giveUpTriggers(parts.database, triggers, parts.lease.instance).catch(() => {});
}

/** Reads specifications, keys and secrets before the triggers are due. What fails here is read when they are due. */
function prefetch({ specs, attempt }: PipelineParts, triggers: readonly HeldTrigger[]): void {
  if (triggers.length === 0) return;
  specs
    .load(triggers)
    .then(() => {
      for (const trigger of triggers) {
        const spec = specs.get(trigger);
        if (spec !== undefined) prefetchSecrets(attempt, trigger.projectId, spec);
      }
    })
    .catch(() => {});
  const projects = new Set(triggers.map(({ projectId }) => projectId));
  attempt.signingKeys.load(projects).catch(() => {});
}

function forget(state: PipelineState): void {
  state.parts.holding.dropWaiting();
  dropDue(state);
}
