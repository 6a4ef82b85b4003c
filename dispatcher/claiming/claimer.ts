import type { Database } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import type { Holding } from "../waiting/holding.ts";
import { claimTriggers, groupByAttempts } from "./claims.ts";
import type { DueLanes, LaneWork } from "./due-work.ts";

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
  /** Asked before each claim. */
  readonly mayClaim: () => boolean;
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
const FAILURE_PAUSE = { minMs: 20, maxMs: 1_000, jitter: 0.2 };

/** Makes a claimer. If a claim fails, its triggers wait again, and the claim is repeated after a pause. */
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
  const { lanes, holding, mayClaim } = state.parts;
  while (state.size < CONCURRENCY && !state.isPausing && mayClaim()) {
    const batch = lanes.takeToClaim(state.size + lanes.inFlight === 0 ? FIRST_BATCH : BATCH);
    if (batch.length === 0) return;
    // A claim finds rows by id. An outdated copy in a lane would claim the same row as the copy that has replaced it.
    const held = batch.filter((work) => holding.holds(work.item.trigger));
    for (const work of batch) if (!holding.holds(work.item.trigger)) lanes.refused(work);
    for (const group of groupByAttempts(held, ({ item }) => item.trigger)) void claimGroup(state, group);
  }
}

async function claimGroup(state: ClaimerState, group: readonly LaneWork[]): Promise<void> {
  const { database, clock, events, lease, lanes, onClaimed } = state.parts;
  const { instance } = lease;
  state.size += 1;
  try {
    const triggers = group.map(({ item }) => item.trigger);
    const wanted = await claimTriggers(database, triggers, { instance, nowMs: clock.now() });
    if (state.failures > 0) events.emit("recovered", { part: "claims", failures: state.failures });
    state.failures = 0;
    // If the lease was lost meanwhile, the triggers belong to the dispatcher that releases them from the old id.
    applyAnswer(state, group, instance === lease.instance ? wanted : new Set());
  } catch (error) {
    group.forEach(lanes.unclaimed);
    pauseAfterFailure(state, error);
  } finally {
    state.size -= 1;
  }
  claim(state);
  onClaimed();
}

/** Makes the wanted triggers of a claim ready to start, and drops the others. */
function applyAnswer({ parts }: ClaimerState, group: readonly LaneWork[], wanted: ReadonlySet<string>): void {
  const { lanes, holding, events } = parts;
  for (const work of group) {
    const { trigger } = work.item;
    if (wanted.has(trigger.id)) lanes.claimed(work);
    else {
      lanes.refused(work);
      holding.drop(trigger);
    }
  }
  events.emit("claimed", { started: wanted.size, refused: group.length - wanted.size });
}

function pauseAfterFailure(state: ClaimerState, error: unknown): void {
  const { events, random } = state.parts;
  state.failures += 1;
  if (state.failures === 1) events.emit("trouble", { part: "claims", error });
  if (state.isPausing) return;
  state.isPausing = true;
  const resume = () => {
    state.isPausing = false;
    claim(state);
  };
  setTimeout(resume, backoffMs({ attempt: state.failures, ...FAILURE_PAUSE, random }));
}
