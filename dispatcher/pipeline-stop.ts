import type { Database } from "../db/pool.ts";
import type { Clock } from "../mesh/clock.ts";
import { pause } from "../mesh/pause.ts";
import type { Admission } from "./claiming/admission.ts";
import type { Claimer } from "./claiming/claimer.ts";
import { groupByAttempts, unclaimTriggers } from "./claiming/claims.ts";
import type { DueLanes, DueWork } from "./claiming/due-work.ts";
import type { Router } from "./claiming/router.ts";
import { giveUpWaiting } from "./instances/give-up.ts";
import type { Lease } from "./instances/lease.ts";
import type { Results } from "./results/results.ts";
import type { DueTimer } from "./waiting/due-timer.ts";
import type { Holding } from "./waiting/holding.ts";

/** The parts of a pipeline that its stop needs. */
export interface StoppablePipeline {
  readonly parts: {
    readonly database: Database;
    readonly clock: Clock;
    readonly lease: Lease;
    readonly holding: Holding;
  };
  readonly lanes: DueLanes;
  readonly admission: Admission;
  readonly timer: DueTimer;
  readonly router: Router;
  readonly claimer: Claimer;
  readonly results: Results;
  /** Triggers that are due later are not held, but given up. */
  holdsUntilMs: number;
  /** Whether nothing may be claimed or started any more. */
  isStopping: boolean;
}

/** How a pipeline stops. */
export interface StopOptions {
  /** Resolves when no more events are accepted. */
  readonly accepted: Promise<void>;
  /** How long to wait for attempts in flight, in milliseconds. */
  readonly drainMs: number;
  /** When it is aborted, nothing more is waited for. */
  readonly hurry: AbortSignal;
}

/**
 * Triggers that are due within this time are still started here. The others need so long to take what is given up: they
 * look for it every 500 ms, and a loaded machine may make one round late.
 */
const KEPT_MS = 1_500;
/** What is due at the end of KEPT_MS has this long to be claimed and started. */
const START_LIMIT_MS = 500;
const CLAIM_LIMIT_MS = 5_000;
const FLUSH_LIMIT_MS = 1_000;
const POLL_MS = 5;

/**
 * Stops a pipeline in this order:
 *
 * 1. gives up all triggers that are due after KEPT_MS, so that other dispatchers take them before they are due;
 * 2. delivers those that are due before, and then starts nothing more;
 * 3. undoes the claims of attempts that have not started, and gives up all other triggers;
 * 4. waits for the attempts in flight, for at most `drainMs`, and records the results.
 *
 * Returns how many attempts are still in flight. If the database is away, what could not be given up is left to the
 * caller.
 */
export async function stopPipeline(state: StoppablePipeline, options: StopOptions): Promise<number> {
  const { timer, claimer, lanes, results } = state;
  const { clock, holding, database, lease } = state.parts;
  const { hurry } = options;
  state.holdsUntilMs = clock.now() + KEPT_MS;
  holding.dropLater(state.holdsUntilMs);
  const laterGivenUp = giveUpWaiting(database, lease.instance, state.holdsUntilMs).catch(() => {});
  let isAccepting = true;
  void options.accepted.finally(() => {
    isAccepting = false;
  });
  await waitUntil(() => !isAccepting && hasStartedAll(state), hurry, KEPT_MS + START_LIMIT_MS);

  state.holdsUntilMs = Number.NEGATIVE_INFINITY;
  state.isStopping = true;
  timer.stop();
  await waitUntil(() => claimer.size === 0, hurry, CLAIM_LIMIT_MS);
  // A claim that cannot be undone now is released with the rest. It then counts as an attempt.
  const restGivenUp = giveUpRest(state).catch(() => {});
  await waitUntil(() => lanes.inFlight === 0, hurry, options.drainMs);
  await results.close(FLUSH_LIMIT_MS);
  await Promise.all([laterGivenUp, restGivenUp]);
  return lanes.inFlight;
}

/** Whether no trigger waits to be due, to be claimed, or to start. */
function hasStartedAll({ parts, router, lanes }: StoppablePipeline): boolean {
  return parts.holding.nextDueMs() === undefined && router.size === 0 && lanes.size === lanes.inFlight;
}

/** Undoes the claims of attempts that have not started, and gives up everything that is not in flight. */
async function giveUpRest(state: StoppablePipeline): Promise<void> {
  const { database, holding, lease } = state.parts;
  const { instance } = lease;
  holding.dropWaiting();
  const ready = dropDue(state);
  const givenUp = giveUpWaiting(database, instance, Number.NEGATIVE_INFINITY);
  const claimed = ready.map(({ trigger }) => trigger);
  for (const group of groupByAttempts(claimed, (trigger) => trigger)) {
    await unclaimTriggers(database, group, instance);
  }
  await givenUp;
}

/** Drops the due triggers that have not started. Returns those of them that are claimed. */
export function dropDue({
  parts,
  router,
  lanes,
  admission,
}: Pick<StoppablePipeline, "parts" | "router" | "lanes" | "admission">): readonly DueWork[] {
  const { holding } = parts;
  router.clear();
  admission.clear().forEach(holding.drop);
  const { waiting, ready } = lanes.clear();
  for (const work of [...waiting, ...ready]) {
    admission.left(work);
    holding.drop(work.trigger);
  }
  return ready;
}

async function waitUntil(isDone: () => boolean, hurry: AbortSignal, limitMs: number): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isDone() && !hurry.aborted && performance.now() < endMs) await pause(POLL_MS);
}
