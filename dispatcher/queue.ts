import type { Sharing } from "../db/internal-redis/sharing.ts";
import type { Clock } from "../mesh/clock.ts";
import { toDueLimits } from "./claiming/due-lanes.ts";
import type { AttemptParts } from "./delivery/attempt.ts";
import { createSpecCache } from "./delivery/spec-cache.ts";
import type { Events } from "./events/events.ts";
import { createLocalFlowStore } from "./flow/local-flow-store.ts";
import { createRedisFlowStore } from "./flow/redis-flow-store.ts";
import type { Health } from "./health.ts";
import type { Lease } from "./instances/lease.ts";
import { createPipeline } from "./pipeline.ts";
import type { Pools } from "./pools.ts";
import { createLeftOut } from "./recovery/left-out.ts";
import { createSetAside } from "./set-aside/set-aside.ts";
import type { TriggerTraces } from "./tracing/trigger-traces.ts";
import { HELD_LIMITS } from "./waiting/held-bytes.ts";
import { createHolding } from "./waiting/holding.ts";
import { createWaker } from "./waking/waker.ts";

const CACHED_SPEC_BYTES = 128 * 1024 * 1024;

/** What the queue of triggers is made from. */
export interface QueueSources {
  readonly pools: Pick<Pools, "claims" | "results" | "waits" | "lookups" | "wakes" | "upkeep">;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly health: Pick<Health, "isClosing">;
  readonly attempt: AttemptParts;
  readonly sharing: Pick<Sharing, "redis">;
  /** Undefined if nobody gets spans. */
  readonly traces: TriggerTraces | undefined;
  readonly limits: { readonly deliveryConcurrency: number; readonly originConcurrency: number };
}

/**
 * Makes the queue: the triggers that are held, the pipeline that delivers them, and what recovers those of others. Nothing
 * is taken from the database before a loop or a call does so.
 */
export function createQueue(sources: QueueSources) {
  const { pools, clock, random, events, lease, health, attempt, sharing, limits, traces } = sources;
  const specs = createSpecCache(pools.lookups, CACHED_SPEC_BYTES);
  const waker = createWaker({ database: pools.wakes, clock, random, events, specs });
  const holding = createHolding(HELD_LIMITS, waker.ended);
  const setAside = createSetAside({ database: pools.upkeep, clock, events });
  const { redis } = sharing;
  const flowStore = redis === undefined ? createLocalFlowStore() : createRedisFlowStore({ redis });
  const shared = { clock, events, lease, holding };
  const pipeline = createPipeline({
    ...shared,
    database: pools.results,
    claimDatabase: pools.claims,
    resultDatabase: pools.results,
    waitDatabase: pools.waits,
    random,
    specs,
    attempt,
    limits: toDueLimits(limits),
    setAside,
    flowStore,
    traces,
  });
  const recovery = {
    ...shared,
    database: pools.upkeep,
    leftOut: createLeftOut({ clock, setAside }),
    hold: pipeline.hold,
    mayTake: () => !health.isClosing,
    onEnded: waker.ended,
  };
  return { specs, waker, setAside, flowStore, pipeline, recovery };
}
