import type { Fifo } from "./fifo.ts";
import {
  claimedOf,
  createLane,
  inFlightOf,
  isIdle,
  keepPace,
  type Lane,
  type Track,
  type Work,
} from "./lane.ts";
import { createTurnstile } from "./turnstile.ts";

/** How much may be under way at once. */
export interface LaneLimits {
  /** Attempts in flight in all. */
  readonly total: number;
  /** Attempts in flight of one lane; those that make up for something use half of it at the most. */
  readonly perLane: number;
  /**
   * While as many of one lane, or of all, are claimed and have not started, no more are. A lane is also claimed for
   * only as far as it can start at once, and as many ahead as it has ended lately: what is claimed is past taking back,
   * and must not wait behind a slow endpoint. What makes up for something has half as many, beside these.
   */
  readonly claimedPerLane: number;
  readonly claimedTotal: number;
}

/**
 * Due triggers by destination. Each passes through four places: waiting (due, nothing done), claiming (a statement is
 * under way), ready (claimed), in flight. Lanes take turns, both at claiming and at starting. Within a lane those that
 * make up for something are claimed only when none on time waits, started only when none on time is ready, and leave to
 * these half of its places, of its project's, and of all.
 */
export interface Lanes<T> {
  /** How many are waiting, claiming, ready or in flight. */
  readonly size: number;
  readonly inFlight: number;
  /** Puts a due item at the end of its lane, behind those on time if it makes up for something (`isLate`). */
  add(item: T, projectId: string, destination: string, isLate?: boolean): void;
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
  const claims = createTurnstile<Track<T>>(limits.claimedTotal);
  const starts = createTurnstile<Track<T>>(limits.total);
  const latePerLane = Math.max(1, Math.floor(limits.perLane / 2));
  const lateClaimedPerLane = Math.max(1, Math.floor(limits.claimedPerLane / 2));
  let size = 0;

  // What has become possible for a lane: to be claimed for, to start from, or to go.
  const update = (lane: Lane<T>): void => {
    for (const track of [lane.onTime, lane.late]) {
      if (isWorthAClaim(track)) claims.queue(track);
      if (mayStart(track)) starts.queue(track);
    }
    if (isIdle(lane) && lanes.get(lane.key) === lane) lanes.delete(lane.key);
  };

  const mayStart = ({ lane, isLate, ready, inFlight }: Track<T>): boolean => {
    if (ready.size === 0 || inFlightOf(lane) >= limits.perLane) return false;
    return !isLate || (lane.onTime.ready.size === 0 && inFlight < latePerLane);
  };

  // How many may be claimed and not started: what could start at once, and as many as have ended lately.
  const aheadOf = (track: Track<T>): number => {
    const { lane, isLate, inFlight } = track;
    keepPace(lane, elapsedMs());
    const pace = track.endedNow + track.endedBefore;
    const free = limits.perLane - inFlightOf(lane);
    if (!isLate) return Math.min(limits.claimedPerLane, free + pace);
    const lateFree = Math.min(latePerLane - inFlight, free - claimedOf(lane.onTime));
    return Math.min(lateClaimedPerLane, lateFree + pace);
  };

  const roomToClaim = (track: Track<T>): number => {
    if (track.isLate && track.lane.onTime.waiting.size > 0) return 0;
    return aheadOf(track) - claimedOf(track);
  };

  // Half of what may be ahead, or all that waits: else each attempt that ends would claim one more by itself.
  const isWorthAClaim = (track: Track<T>): boolean => {
    if (track.waiting.size === 0) return false;
    return roomToClaim(track) >= Math.max(1, Math.min(track.waiting.size, aheadOf(track) / 2));
  };

  const endClaim = ({ track }: Work<T>): void => {
    track.claiming -= 1;
    claims.leave(track, 1);
  };

  return {
    get size() {
      return size;
    },
    get inFlight() {
      return starts.inside;
    },
    add: (item, projectId, destination, isLate = false) => {
      const key = `${projectId} ${destination}`;
      const lane = lanes.get(key) ?? createLane<T>(key, projectId);
      lanes.set(key, lane);
      const track = isLate ? lane.late : lane.onTime;
      track.waiting.push({ item, track });
      size += 1;
      update(lane);
    },
    takeToClaim: (limit) => {
      const taken: Work<T>[] = [];
      // An equal part for each lane in turn, so that a long one does not fill the batch.
      for (let turns = Math.max(1, lanes.size); taken.length < limit; turns = Math.max(1, turns - 1)) {
        const track = claims.next();
        if (track === undefined) break;
        const part = Math.min(Math.ceil((limit - taken.length) / turns), roomToClaim(track));
        const before = taken.length;
        moveSome(track.waiting, part, taken);
        track.claiming += taken.length - before;
        claims.enter(track, taken.length - before);
        update(track.lane);
      }
      return taken;
    },
    claimed: (work) => {
      work.track.claiming -= 1;
      work.track.ready.push(work);
      update(work.track.lane);
    },
    unclaimed: (work) => {
      endClaim(work);
      work.track.waiting.push(work);
      update(work.track.lane);
    },
    refused: (work) => {
      endClaim(work);
      size -= 1;
      update(work.track.lane);
    },
    takeToStart: () => {
      for (let track = starts.next(); track !== undefined; track = starts.next()) {
        const work = mayStart(track) ? track.ready.shift() : undefined;
        if (work === undefined) continue;
        claims.leave(track, 1);
        starts.enter(track, 1);
        track.inFlight += 1;
        update(track.lane);
        return work;
      }
      return undefined;
    },
    ended: ({ track }) => {
      starts.leave(track, 1);
      keepPace(track.lane, elapsedMs());
      track.endedNow += 1;
      track.inFlight -= 1;
      size -= 1;
      update(track.lane);
    },
    clear: () => {
      const waiting: T[] = [];
      const ready: T[] = [];
      for (const lane of lanes.values()) {
        for (const track of [lane.onTime, lane.late]) {
          claims.leave(track, track.ready.size);
          for (const { item } of track.waiting.clear()) waiting.push(item);
          for (const { item } of track.ready.clear()) ready.push(item);
        }
        update(lane);
      }
      size -= waiting.length + ready.length;
      return { waiting, ready };
    },
  };
}

function moveSome<T>(from: Fifo<T>, limit: number, into: T[]): void {
  for (let left = limit; left > 0; left--) {
    const item = from.shift();
    if (item === undefined) return;
    into.push(item);
  }
}
