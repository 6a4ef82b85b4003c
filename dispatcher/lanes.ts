import { createFifo, type Fifo } from "./fifo.ts";
import { createTurnstile } from "./turnstile.ts";

/** How much may be under way at once. */
export interface LaneLimits {
  /** Attempts in flight in all. */
  readonly total: number;
  /** Attempts in flight of one lane. */
  readonly perLane: number;
  /**
   * While as many of one lane, or of all, are claimed and have not started, no more are. A lane is also claimed for
   * only as far as it can start at once, and as many ahead as it has ended lately: what is claimed is past taking back,
   * and must not wait behind a slow endpoint.
   */
  readonly claimedPerLane: number;
  readonly claimedTotal: number;
}

/** One due trigger on its way from waiting to its end. */
export interface Work<T> {
  readonly item: T;
  readonly lane: Lane<T>;
}

/** One destination of one project: what it does slowly delays nobody else. */
export interface Lane<T> {
  readonly key: string;
  /** The project. */
  readonly groupId: string;
  readonly waiting: Fifo<Work<T>>;
  readonly ready: Fifo<Work<T>>;
  claiming: number;
  inFlight: number;
  /** Attempts ended in the present span of time and in the one before. */
  endedNow: number;
  endedBefore: number;
  /** When the present span began. */
  spanStartMs: number;
}

/** Over how long a lane's pace is taken. A tenth of a second's work is claimed ahead at the most. */
const PACE_SPAN_MS = 50;

/**
 * Due triggers by destination. Each passes through four places: waiting (due, nothing done), claiming (a statement is
 * under way), ready (claimed), in flight. Lanes take turns, both at claiming and at starting.
 */
export interface Lanes<T> {
  /** How many are waiting, claiming, ready or in flight. */
  readonly size: number;
  readonly inFlight: number;
  /** Puts a due item at the end of its lane. */
  add(item: T, projectId: string, destination: string): void;
  /** Takes at most `limit` waiting ones to be claimed, of lanes that have started most of what was claimed before. */
  takeToClaim(limit: number): Work<T>[];
  /** The claim succeeded: it is ready. */
  claimed(work: Work<T>): void;
  /** The claim could not be made now: it waits again. */
  unclaimed(work: Work<T>): void;
  /** The claim found that it is not wanted any more. */
  refused(work: Work<T>): void;
  /** Takes the next that may start; undefined when none may. */
  takeToStart(): Work<T> | undefined;
  /** An attempt has ended. */
  ended(work: Work<T>): void;
  /** Removes and returns what is waiting and what is ready; what is claiming or in flight stays. */
  clear(): { readonly waiting: readonly T[]; readonly ready: readonly T[] };
}

/** Makes lanes. A lane exists while something is in it. `elapsedMs` is a steady clock. */
export function createLanes<T>(limits: LaneLimits, elapsedMs = () => performance.now()): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const claims = createTurnstile<Lane<T>>(limits.claimedTotal);
  const starts = createTurnstile<Lane<T>>(limits.total);
  let size = 0;

  // What has become possible for a lane: to be claimed for, to start from, or to go.
  const update = (lane: Lane<T>): void => {
    if (isWorthAClaim(lane)) claims.queue(lane);
    if (lane.ready.size > 0 && lane.inFlight < limits.perLane) starts.queue(lane);
    const isIdle = lane.waiting.size + lane.ready.size + lane.claiming + lane.inFlight === 0;
    if (isIdle && lanes.get(lane.key) === lane) lanes.delete(lane.key);
  };

  const keepPace = (lane: Lane<T>): void => {
    const passedMs = elapsedMs() - lane.spanStartMs;
    if (passedMs < PACE_SPAN_MS) return;
    lane.endedBefore = passedMs < 2 * PACE_SPAN_MS ? lane.endedNow : 0;
    lane.endedNow = 0;
    lane.spanStartMs += passedMs;
  };

  // How many may be claimed and not started.
  const aheadOf = (lane: Lane<T>): number => {
    keepPace(lane);
    const startable = limits.perLane - lane.inFlight + lane.endedNow + lane.endedBefore;
    return Math.min(limits.claimedPerLane, startable);
  };

  const roomToClaim = (lane: Lane<T>): number => aheadOf(lane) - lane.claiming - lane.ready.size;

  // Half of what may be ahead, or all that waits: else each attempt that ends would claim one more by itself.
  const isWorthAClaim = (lane: Lane<T>): boolean => {
    if (lane.waiting.size === 0) return false;
    return roomToClaim(lane) >= Math.max(1, Math.min(lane.waiting.size, aheadOf(lane) / 2));
  };

  const endClaim = ({ lane }: Work<T>): void => {
    lane.claiming -= 1;
    claims.leave(lane, 1);
  };

  return {
    get size() {
      return size;
    },
    get inFlight() {
      return starts.inside;
    },
    add: (item, projectId, destination) => {
      const key = `${projectId} ${destination}`;
      const lane = lanes.get(key) ?? createLane<T>(key, projectId);
      lanes.set(key, lane);
      lane.waiting.push({ item, lane });
      size += 1;
      update(lane);
    },
    takeToClaim: (limit) => {
      const taken: Work<T>[] = [];
      // An equal part for each lane in turn, so that a long one does not fill the batch.
      for (let turns = Math.max(1, lanes.size); taken.length < limit; turns = Math.max(1, turns - 1)) {
        const lane = claims.next();
        if (lane === undefined) break;
        const part = Math.min(Math.ceil((limit - taken.length) / turns), roomToClaim(lane));
        const before = taken.length;
        moveSome(lane.waiting, part, taken);
        lane.claiming += taken.length - before;
        claims.enter(lane, taken.length - before);
        update(lane);
      }
      return taken;
    },
    claimed: (work) => {
      work.lane.claiming -= 1;
      work.lane.ready.push(work);
      update(work.lane);
    },
    unclaimed: (work) => {
      endClaim(work);
      work.lane.waiting.push(work);
      update(work.lane);
    },
    refused: (work) => {
      endClaim(work);
      size -= 1;
      update(work.lane);
    },
    takeToStart: () => {
      for (let lane = starts.next(); lane !== undefined; lane = starts.next()) {
        const work = lane.inFlight < limits.perLane ? lane.ready.shift() : undefined;
        if (work === undefined) continue;
        claims.leave(lane, 1);
        starts.enter(lane, 1);
        lane.inFlight += 1;
        update(lane);
        return work;
      }
      return undefined;
    },
    ended: ({ lane }) => {
      starts.leave(lane, 1);
      keepPace(lane);
      lane.endedNow += 1;
      lane.inFlight -= 1;
      size -= 1;
      update(lane);
    },
    clear: () => {
      const waiting: T[] = [];
      const ready: T[] = [];
      for (const lane of lanes.values()) {
        claims.leave(lane, lane.ready.size);
        for (const { item } of lane.waiting.clear()) waiting.push(item);
        for (const { item } of lane.ready.clear()) ready.push(item);
        update(lane);
      }
      size -= waiting.length + ready.length;
      return { waiting, ready };
    },
  };
}

function createLane<T>(key: string, groupId: string): Lane<T> {
  const counts = { claiming: 0, inFlight: 0, endedNow: 0, endedBefore: 0, spanStartMs: 0 };
  return { key, groupId, waiting: createFifo(), ready: createFifo(), ...counts };
}

function moveSome<T>(from: Fifo<T>, limit: number, into: T[]): void {
  for (let left = limit; left > 0; left--) {
    const item = from.shift();
    if (item === undefined) return;
    into.push(item);
  }
}
