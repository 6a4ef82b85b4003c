import type { Database } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import type { TriggerTraces } from "../tracing/trigger-traces.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import type { Admission } from "./admission.ts";
import { type ClaimAnswer, claimTriggers, groupByAttempts } from "./claims.ts";
import type { DueLanes, LaneWork } from "./due-work.ts";
import type { PutBack } from "./put-back.ts";

/**
 * Claims due triggers of the lanes. A claim is one statement for many triggers: it checks in PostgreSQL that each
 * trigger is still wanted, and records that its attempt starts.
 */
export interface Claimer {
  /** How many claims are under way. */
  readonly size: number;
  /** Sends claims for waiting triggers, as many as the lanes and the limit of claims under way allow. */
  claim(): void;
}

/** What a claimer needs. */
export interface ClaimerParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly holding: Holding;
  readonly lanes: DueLanes;
  readonly admission: Admission;
  readonly putBack: PutBack;
  readonly traces?: TriggerTraces | undefined;
  /** Asked before each claim. */
  readonly mayClaim: () => boolean;
  /** Whether a project has to give way for now, because too many of its results cannot be recorded. */
  readonly mustGiveWay: (projectId: string) => boolean;
  /** Called after each claim: triggers may be ready to start. */
  readonly onClaimed: () => void;
}

interface ClaimerState {
  readonly parts: ClaimerParts;
  /** Claims under way. */
  size: number;
  /** Claims that failed since the last one that succeeded. */
  failures: number;
  /** Whether the pause after a failure lasts: nothing is claimed meanwhile. */
  isPausing: boolean;
}

/** Most triggers of one claim. The first claim takes fewer, so that the first attempts of a burst start sooner. */
const BATCH = 500;
const FIRST_BATCH = 64;
/** Most claims under way at once. More than one, so that the next triggers are claimed while the first are sent. */
const CONCURRENCY = 3;
/** The answer for triggers that belong to another dispatcher now. */
const NOTHING: ClaimAnswer = { claimed: new Set(), postponed: new Map(), failed: [] };
const FAILURE_PAUSE = { minMs: 20, maxMs: 1_000, jitter: 0.2 };

/**
 * Makes a claimer. If a claim fails, its triggers wait again, and the claim is repeated after a pause.
 *
 * No trigger delays the others of its claim. One whose row is locked is left out and put back to wait. One for which
 * PostgreSQL refuses the statement is set aside.
 */
export function createClaimer(parts: ClaimerParts): Claimer {
  const state: ClaimerState = { parts, size: 0, failures: 0, isPausing: false };
  return {
    get size() {
      return state.size;
    },
    claim: () => claim(state),
  };
}

function claim(state: ClaimerState): void {
  const { lanes, holding, admission, putBack, mayClaim, mustGiveWay } = state.parts;
  // Called at the end of each attempt, mostly with nothing to claim.
  while (state.size < CONCURRENCY && !state.isPausing && lanes.size > lanes.inFlight && mayClaim()) {
    const batch = lanes.takeToClaim(state.size + lanes.inFlight === 0 ? FIRST_BATCH : BATCH);
    if (batch.length === 0) return;
    // A claim finds rows by id. An outdated copy in a lane would claim the same row as the copy that has replaced it.
    const held: LaneWork[] = [];
    const ordered: LaneWork[] = [];
    for (const work of batch) {
      const { trigger } = work.item;
      const mustPass = holding.holds(trigger) && !mustGiveWay(trigger.projectId);
      if (mustPass && admission.mayClaim(work.item)) {
        if (work.item.spec.isOrdered) ordered.push(work);
        else held.push(work);
        continue;
      }
      lanes.refused(work);
      if (mustPass) admission.turnAway(work.item);
      else {
        admission.left(work.item);
        if (holding.holds(trigger)) putBack.postpone(trigger, trigger.dueTimeMs);
      }
    }
    for (const part of [held, ordered]) {
      for (const group of groupByAttempts(part, ({ item }) => item.trigger)) void claimGroup(state, group);
    }
  }
}

async function claimGroup(state: ClaimerState, group: readonly LaneWork[]): Promise<void> {
  const { database, clock, events, lease, lanes, traces, onClaimed } = state.parts;
  const { instance } = lease;
  state.size += 1;
  try {
    const triggers = group.map(({ item }) => item.trigger);
    const isOrdered = group[0]?.item.spec.isOrdered === true;
    const nowMs = clock.now();
    const answer = await claimTriggers(database, triggers, { instance, nowMs }, isOrdered);
    if (state.failures > 0) events.emit("recovered", { part: "claims", failures: state.failures });
    state.failures = 0;
    // If the lease was lost meanwhile, the triggers belong to the dispatcher that releases them from the old id.
    const claimed = applyAnswer(state, group, instance === lease.instance ? answer : NOTHING);
    traces?.claimed(claimed, nowMs);
  } catch (error) {
    group.forEach(lanes.unclaimed);
    pauseAfterFailure(state, error);
  } finally {
    state.size -= 1;
  }
  claim(state);
  onClaimed();
}

/**
 * Makes the claimed triggers ready to start, puts those back that are to be tried again, and drops the others. Returns the
 * claimed ones.
 */
function applyAnswer(
  { parts }: ClaimerState,
  group: readonly LaneWork[],
  answer: ClaimAnswer,
): readonly HeldTrigger[] {
  const { lanes, holding, events, admission, putBack } = parts;
  const { claimed, postponed } = answer;
  const failed = new Set(answer.failed.map(({ item }) => item));
  const handled: HeldTrigger[] = [];
  for (const work of group) {
    const { trigger } = work.item;
    if (claimed.has(trigger.id)) {
      handled.push(trigger);
      trigger.waitingFor = null;
      lanes.claimed(work);
      continue;
    }
    lanes.refused(work);
    admission.left(work.item);
    const dueMs = postponed.get(trigger.id);
    if (dueMs !== undefined) putBack.postpone(trigger, dueMs);
    else if (!failed.has(trigger)) holding.drop(trigger);
  }
  putBack.handled(handled);
  if (failed.size > 0) void putBack.setAside("trigger", answer.failed);
  const refused = group.length - claimed.size - postponed.size - failed.size;
  events.emit("claimed", { started: claimed.size, refused, postponed: postponed.size });
  return handled;
}

function pauseAfterFailure(state: ClaimerState, error: unknown): void {
  const { events, random } = state.parts;
  state.failures += 1;
  events.emit("trouble", { part: "claims", error });
  if (state.isPausing) return;
  state.isPausing = true;
  const resume = () => {
    state.isPausing = false;
    claim(state);
  };
  setTimeout(resume, backoffMs({ attempt: state.failures, ...FAILURE_PAUSE, random }));
}
