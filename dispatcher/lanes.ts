import { createFifo, type Fifo } from "./fifo.ts";

/** How much may be under way at once. */
export interface LaneLimits {
  /** Attempts in flight in all. */
  readonly total: number;
  /** Attempts in flight of one lane. */
  readonly perLane: number;
  /** While as many of one lane, or of all, are claimed and have not started, no more are. */
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
  readonly project: Project<T>;
  readonly waiting: Fifo<Work<T>>;
  readonly ready: Fifo<Work<T>>;
  claiming: number;
  inFlight: number;
  /** Whether it stands in the queue of lanes to claim for, or to start from. */
  queuedToClaim: boolean;
  queuedToStart: boolean;
}

interface Project<T> {
  readonly id: string;
  lanes: number;
  inFlight: number;
  /** Lanes that could start but for the project's share. */
  readonly parked: Fifo<Lane<T>>;
}

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

/** One project may use this part of all slots in flight; the last eighth is kept for projects with few. */
const PROJECT_SHARE = 1 / 4;
const RESERVE = 1 / 8;
const FEW = 8;
/** Most lanes that one call looks at; the next call looks on. */
const MAX_TURNS = 64;

/** Makes lanes. A lane exists while something is in it. */
export function createLanes<T>(limits: LaneLimits): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const projects = new Map<string, Project<T>>();
  const toClaim = createFifo<Lane<T>>();
  const toStart = createFifo<Lane<T>>();
  const projectLimit = Math.max(1, Math.ceil(limits.total * PROJECT_SHARE));
  const openLimit = Math.max(1, limits.total - Math.floor(limits.total * RESERVE));
  let size = 0;
  let inFlight = 0;
  let claimed = 0;

  const openLane = (projectId: string, destination: string): Lane<T> => {
    const key = `${projectId} ${destination}`;
    const found = lanes.get(key);
    if (found !== undefined) return found;
    const project = projects.get(projectId) ?? {
      id: projectId,
      lanes: 0,
      inFlight: 0,
      parked: createFifo(),
    };
    projects.set(projectId, project);
    project.lanes += 1;
    const lane: Lane<T> = {
      key,
      project,
      waiting: createFifo(),
      ready: createFifo(),
      claiming: 0,
      inFlight: 0,
      queuedToClaim: false,
      queuedToStart: false,
    };
    lanes.set(key, lane);
    return lane;
  };

  const closeIfIdle = (lane: Lane<T>): void => {
    if (lane.waiting.size + lane.ready.size + lane.claiming + lane.inFlight > 0) return;
    if (lanes.get(lane.key) !== lane) return;
    lanes.delete(lane.key);
    lane.project.lanes -= 1;
    if (lane.project.lanes === 0) projects.delete(lane.project.id);
  };

  const queueToClaim = (lane: Lane<T>): void => {
    if (lane.queuedToClaim || lane.waiting.size === 0) return;
    if (lane.claiming + lane.ready.size >= limits.claimedPerLane) return;
    lane.queuedToClaim = true;
    toClaim.push(lane);
  };

  const queueToStart = (lane: Lane<T>): void => {
    if (lane.queuedToStart || lane.ready.size === 0 || lane.inFlight >= limits.perLane) return;
    lane.queuedToStart = true;
    toStart.push(lane);
  };

  // One slot of the project is free: the first parked lane that can use it gets a turn.
  const unpark = (project: Project<T>): void => {
    for (let lane = project.parked.shift(); lane !== undefined; lane = project.parked.shift()) {
      lane.queuedToStart = false;
      queueToStart(lane);
      if (lane.queuedToStart) return;
    }
  };

  const mayStart = (project: Project<T>): boolean =>
    project.inFlight < projectLimit && (inFlight < openLimit || project.inFlight < FEW);

  const takeFromLane = (lane: Lane<T>, limit: number, into: Work<T>[]): void => {
    for (let left = limit; left > 0; left--) {
      const work = lane.waiting.shift();
      if (work === undefined) break;
      lane.claiming += 1;
      claimed += 1;
      into.push(work);
    }
  };

  const endClaim = (work: Work<T>): void => {
    work.lane.claiming -= 1;
    claimed -= 1;
  };

  return {
    get size() {
      return size;
    },
    get inFlight() {
      return inFlight;
    },
    add: (item, projectId, destination) => {
      const lane = openLane(projectId, destination);
      lane.waiting.push({ item, lane });
      size += 1;
      queueToClaim(lane);
    },
    takeToClaim: (limit) => {
      const taken: Work<T>[] = [];
      const most = claimed < limits.claimedTotal ? limit : 0;
      for (let turns = toClaim.size; turns > 0 && taken.length < most; turns--) {
        const lane = toClaim.shift();
        if (lane === undefined) break;
        lane.queuedToClaim = false;
        // An equal part for each lane in the queue, so that a long one does not fill the batch.
        const part = Math.max(1, Math.ceil((most - taken.length) / turns));
        takeFromLane(lane, Math.min(part, most - taken.length), taken);
        queueToClaim(lane);
      }
      return taken;
    },
    claimed: (work) => {
      work.lane.claiming -= 1;
      work.lane.ready.push(work);
      queueToStart(work.lane);
    },
    unclaimed: (work) => {
      endClaim(work);
      work.lane.waiting.push(work);
      queueToClaim(work.lane);
    },
    refused: (work) => {
      endClaim(work);
      size -= 1;
      queueToClaim(work.lane);
      closeIfIdle(work.lane);
    },
    takeToStart: () => {
      for (let turns = Math.min(toStart.size, MAX_TURNS); turns > 0 && inFlight < limits.total; turns--) {
        const lane = toStart.shift();
        if (lane === undefined) return undefined;
        lane.queuedToStart = false;
        if (!mayStart(lane.project)) {
          if (lane.project.inFlight >= projectLimit) {
            lane.queuedToStart = true;
            lane.project.parked.push(lane);
          } else queueToStart(lane);
          continue;
        }
        const work = lane.ready.shift();
        if (work === undefined) continue;
        claimed -= 1;
        inFlight += 1;
        lane.inFlight += 1;
        lane.project.inFlight += 1;
        queueToStart(lane);
        queueToClaim(lane);
        return work;
      }
      return undefined;
    },
    ended: ({ lane }) => {
      inFlight -= 1;
      lane.inFlight -= 1;
      lane.project.inFlight -= 1;
      size -= 1;
      queueToStart(lane);
      unpark(lane.project);
      closeIfIdle(lane);
    },
    clear: () => {
      const waiting: T[] = [];
      const ready: T[] = [];
      for (const lane of lanes.values()) {
        for (const { item } of lane.waiting.clear()) waiting.push(item);
        for (const { item } of lane.ready.clear()) ready.push(item);
        closeIfIdle(lane);
      }
      claimed -= ready.length;
      size -= waiting.length + ready.length;
      return { waiting, ready };
    },
  };
}
