import type { Database } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import type { Holding } from "../waiting/holding.ts";
import { claimTriggers, groupByAttempts } from "./claims.ts";
import type { DueLanes, LaneWork } from "./due-work.ts";

/** Proves in PostgreSQL, for due triggers of the lanes, that they are still wanted, and records that they start. */
export interface Claimer {
  /** Statements under way. */
  readonly size: number;
  /** Claims what waits, as far as lanes and statements have room. */
  claim(): void;
}

/** Most triggers of one statement; fewer when nothing is in flight, so that a burst begins to be sent sooner. */
const BATCH = 500;
const FIRST_BATCH = 64;
/** Statements at once: while one is answered the next is on its way, so a burst is claimed while it is being sent. */
const CONCURRENCY = 3;
const FAILURE_PAUSE = { minMs: 20, maxMs: 1_000, jitter: 0.2 };

/** Makes a claimer. A claim that fails leaves its triggers waiting, and is tried again. */
export function createClaimer(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly holding: Holding;
  readonly lanes: DueLanes;
  /** Asked before each statement. */
  readonly mayClaim: () => boolean;
  /** Told when triggers are ready to start. */
  readonly onClaimed: () => void;
}): Claimer {
  const { database, clock, random, events, lease, holding, lanes, onClaimed } = parts;
  let size = 0;
  let failures = 0;
  let isPausing = false;

  const fail = (error: unknown): void => {
    failures += 1;
    if (failures === 1) events.emit("trouble", { part: "claims", error });
    if (isPausing) return;
    isPausing = true;
    const resume = () => {
      isPausing = false;
      claim();
    };
    setTimeout(resume, backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
  };

  const settle = (group: readonly LaneWork[], wanted: ReadonlySet<string>): void => {
    for (const work of group) {
      const { trigger } = work.item;
      if (wanted.has(trigger.id)) lanes.claimed(work);
      else {
        lanes.refused(work);
        holding.drop(trigger);
      }
    }
    events.emit("claimed", { started: wanted.size, refused: group.length - wanted.size });
  };

  const claimGroup = async (group: readonly LaneWork[]): Promise<void> => {
    const { instance } = lease;
    size += 1;
    try {
      const triggers = group.map(({ item }) => item.trigger);
      const wanted = await claimTriggers(database, triggers, { instance, nowMs: clock.now() });
      if (failures > 0) events.emit("recovered", { part: "claims", failures });
      failures = 0;
      // Under another instance id than now it belongs to whoever frees the old one's triggers.
      settle(group, instance === lease.instance ? wanted : new Set());
    } catch (error) {
      group.forEach(lanes.unclaimed);
      fail(error);
    } finally {
      size -= 1;
    }
    claim();
    onClaimed();
  };

  const claim = (): void => {
    while (size < CONCURRENCY && !isPausing && parts.mayClaim()) {
      const batch = lanes.takeToClaim(size + lanes.inFlight === 0 ? FIRST_BATCH : BATCH);
      if (batch.length === 0) return;
      // An outdated copy would be claimed beside the one that has its place, since a claim goes by id.
      const held = batch.filter((work) => holding.holds(work.item.trigger));
      for (const work of batch) if (!holding.holds(work.item.trigger)) lanes.refused(work);
      for (const group of groupByAttempts(held, ({ item }) => item.trigger)) void claimGroup(group);
    }
  };

  return {
    get size() {
      return size;
    },
    claim,
  };
}
