import type { Fifo } from "./fifo.ts";
import {
  claimedOf,
  createLane,
  inFlightOf,
  keepPace,
  type Lane,
  type Track,
  type TrackName,
  type Work,
} from "./lane.ts";
import { createTurnstile } from "./turnstile.ts";

/** Limits on how much is under way at once. */
export interface LaneLimits {
  /** Attempts in flight in all. */
  readonly total: number;
  /** Attempts in flight in one lane; late ones use at most half of it. */
  readonly perLane: number;
  /**
   * Most items of one lane that are claimed and have not started. Usually fewer are claimed: as many as the lane can
   * start at once, plus as many as it has ended lately. A claim cannot be taken back by a change of the job, so a
   * claimed item must not wait behind a slow endpoint. Late items have a limit of their own, half as high.
   */
  readonly claimedPerLane: number;
  /** Most items of all lanes that are claimed and have not started. */
  readonly claimedTotal: number;
}

/**
 * Returns the limits for so many attempts in flight. The places for claims do not grow with those for attempts: a claim
 * is made shortly before its attempt starts, however many attempts are in flight.
 */
export function toLaneLimits({ total, perLane }: Pick<LaneLimits, "total" | "perLane">): LaneLimits {
  return { total, perLane, claimedPerLane: 16 * perLane, claimedTotal: Math.min(4 * total, MAX_CLAIMED) };
}

const MAX_CLAIMED = 4_096;

/**
 * Due items, sorted into lanes by project and destination. Each item passes through four stages: waiting (due),
 * claiming (a claim is under way), ready (claimed), in flight. Lanes take turns, both at claiming and at starting.
 *
 * Each lane has three classes. Retries are claimed only when no first attempt waits, but one of them is after every
 * RETRY_EVERY first attempts. Late items are claimed only when no other waits, and started only when no other is ready. They
 * use at most half of the places of the lane, of the project, and of all lanes.
 */
export interface Lanes<T> {
  /** How many items are waiting, claiming, ready or in flight. */
  readonly size: number;
  readonly inFlight: number;
  /** Adds a due item to its lane, behind those of its class; default `first`. */
  add(item: T, projectId: string, destination: string, name?: TrackName): void;
  /** To be called when a destination has another number of places. */
  adapt(projectId: string, destination: string): void;
  /**
   * Takes at most `limit` waiting items, to be claimed. Takes them only from lanes that have started most of what was
   * claimed for them before.
   */
  takeToClaim(limit: number): Work<T>[];
  /** The claim succeeded: the item is ready. */
  claimed(work: Work<T>): void;
  /** The claim failed: the item waits again. */
  unclaimed(work: Work<T>): void;
  /** The item is no longer wanted: it leaves its lane. */
  refused(work: Work<T>): void;
  /** Takes the next ready item that may start; undefined when none may. */
  takeToStart(): Work<T> | undefined;
  /** The attempt has ended: the item leaves its lane. */
  ended(work: Work<T>): void;
  /** Removes and returns the waiting and the ready items. Items that are claiming or in flight stay. */
  clear(): { readonly waiting: readonly T[]; readonly ready: readonly T[] };
}

/** After so many first attempts of a lane, one retry is claimed, so that retries do not wait for ever. */
const RETRY_EVERY = 8;

/**
 * Makes empty lanes. A lane exists while something is in it. `elapsedMs` is a clock that never steps. `placesOf` returns how
 * many places a destination has, if it has fewer than the limit.
 */
export function createLanes<T>(
  limits: LaneLimits,
  elapsedMs = () => performance.now(),
  placesOf: (projectId: string, destination: string) => number | undefined = () => undefined,
): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const claims = createTurnstile<Track<T>>(limits.claimedTotal);
  const starts = createTurnstile<Track<T>>(limits.total);
  const lateClaimedPerLane = Math.max(1, Math.floor(limits.claimedPerLane / 2));
  let size = 0;

  // Queues the tracks of a changed lane that can now be claimed for or started from, and removes an empty lane.
  const update = (lane: Lane<T>): void => {
    updateTrack(lane.first);
    updateTrack(lane.retry);
    updateTrack(lane.late);
    if (lane.size === 0 && lanes.get(lane.key) === lane) lanes.delete(lane.key);
  };

  const laneOf = (projectId: string, destination: string): Lane<T> => {
    const key = `${projectId} ${destination}`;
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const lane = createLane<T>(key, projectId, placesOf(projectId, destination) ?? limits.perLane);
    lanes.set(key, lane);
    return lane;
  };

  const updateTrack = (track: Track<T>): void => {
    if (isWorthAClaim(track)) claims.queue(track);
    if (mayStart(track)) starts.queue(track);
  };

  const mayStart = ({ lane, isLate, ready, inFlight }: Track<T>): boolean => {
    if (ready.size === 0 || inFlightOf(lane) >= lane.places) return false;
    return !isLate || (lane.first.ready.size + lane.retry.ready.size === 0 && inFlight < lateOf(lane));
  };

  // Returns how many items may be claimed and not started: as many as can start at once, plus as many as ended lately.
  const aheadOf = (track: Track<T>): number => {
    const { lane, name, inFlight } = track;
    keepPace(lane, elapsedMs());
    const pace = track.endedNow + track.endedBefore;
    const free = lane.places - inFlightOf(lane);
    if (name === "first") return Math.min(limits.claimedPerLane, free - claimedOf(lane.retry) + pace);
    if (name === "retry") return Math.min(limits.claimedPerLane, free - claimedOf(lane.first) + pace);
    const lateFree = free - claimedOf(lane.first) - claimedOf(lane.retry);
    return Math.min(lateClaimedPerLane, Math.min(lateOf(lane) - inFlight, lateFree) + pace);
  };

  const roomToClaim = (track: Track<T>, ahead: number): number => {
    const { lane, name } = track;
    const givesWay = name !== "first" && lane.first.waiting.size > 0;
    if (givesWay && (name === "late" || lane.passed < RETRY_EVERY)) return 0;
    if (name === "late" && lane.retry.waiting.size > 0) return 0;
    const room = ahead - claimedOf(track);
    // When a retry has its turn, one place is kept for it.
    if (name === "first" && lane.passed >= RETRY_EVERY && lane.retry.waiting.size > 0) return room - 1;
    return givesWay ? Math.min(1, room) : room;
  };

  // A claim is worth it for half of what may be claimed ahead, or for all that waits. Otherwise each attempt that ends
  // would lead to a claim of a single item.
  const isWorthAClaim = (track: Track<T>): boolean => {
    const { lane, name, waiting } = track;
    if (waiting.size === 0) return false;
    const isInTurn = name === "retry" && lane.passed >= RETRY_EVERY;
    const ahead = aheadOf(track);
    const least = isInTurn ? 1 : Math.max(1, Math.min(waiting.size, ahead / 2));
    return roomToClaim(track, ahead) >= least;
  };

  const countPassed = ({ lane, name }: Track<T>, taken: number): void => {
    if (name === "retry" && taken > 0) lane.passed = 0;
    if (name === "first" && lane.retry.waiting.size > 0) lane.passed += taken;
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
    add: (item, projectId, destination, name = "first") => {
      const lane = laneOf(projectId, destination);
      const track = lane[name];
      track.waiting.push({ item, track });
      size += 1;
      lane.size += 1;
      update(lane);
    },
    adapt: (projectId, destination) => {
      const lane = lanes.get(`${projectId} ${destination}`);
      if (lane === undefined) return;
      lane.places = placesOf(projectId, destination) ?? limits.perLane;
      update(lane);
    },
    takeToClaim: (limit) => {
      const taken: Work<T>[] = [];
      // Each lane gets an equal part of the batch, so that a long lane does not fill it.
      for (let turns = Math.max(1, lanes.size); taken.length < limit; turns = Math.max(1, turns - 1)) {
        const track = claims.next();
        if (track === undefined) break;
        const part = Math.min(Math.ceil((limit - taken.length) / turns), roomToClaim(track, aheadOf(track)));
        const before = taken.length;
        moveSome(track.waiting, part, taken);
        track.claiming += taken.length - before;
        claims.enter(track, taken.length - before);
        countPassed(track, taken.length - before);
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
      work.track.lane.size -= 1;
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
      track.lane.size -= 1;
      update(track.lane);
    },
    clear: () => {
      const waiting: T[] = [];
      const ready: T[] = [];
      for (const lane of lanes.values()) {
        for (const track of lane.tracks) {
          claims.leave(track, track.ready.size);
          lane.size -= track.waiting.size + track.ready.size;
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

/** How many late items of a lane may be in flight. */
function lateOf<T>({ places }: Lane<T>): number {
  return Math.max(1, Math.floor(places / 2));
}

function moveSome<T>(from: Fifo<T>, limit: number, into: T[]): void {
  for (let left = limit; left > 0; left--) {
    const item = from.shift();
    if (item === undefined) return;
    into.push(item);
  }
}
