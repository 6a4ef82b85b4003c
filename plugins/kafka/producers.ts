import type { Producer } from "./producer.ts";
import { createSlots, type Slots } from "./slots.ts";

/** The producers of the projects. */
export interface Producers {
  /**
   * Runs `work` with the project's producers, one batch of a project at a time: so a later trigger of a job comes after
   * the earlier one, and a slow batch holds back its own project only. Throws the signal's reason if it is aborted
   * before the batch's turn.
   */
  use<T>(projectId: string, signal: AbortSignal, work: (lane: ProducerLane) => Promise<T>): Promise<T>;
  /** Closes all. */
  close(): void;
}

/** The producer of one project. */
export interface ProducerLane {
  /** Returns the project's producer, which may be connected already. */
  open(): Producer;
  /** Closes the project's producer after a failure. The next `open` makes another one. */
  discard(): void;
}

/** Bounds of the producers. */
export interface ProducersOptions {
  readonly create: () => Producer;
  /** How many projects are written at the same time at most. Each has one connection to each broker. */
  readonly maxActive: number;
  /** How long a producer without work keeps its connection, in milliseconds. */
  readonly idleMs: number;
}

interface Entry {
  readonly turn: Slots;
  users: number;
  producer: Producer | undefined;
  idle: NodeJS.Timeout | undefined;
}

/** Makes the pool. Each project has a producer of its own, so that no project can break or fill another one's. */
export function createProducers({ create, maxActive, idleMs }: ProducersOptions): Producers {
  const entries = new Map<string, Entry>();
  const active = createSlots(maxActive);
  const drop = (projectId: string, entry: Entry) => {
    entry.producer?.close();
    entry.producer = undefined;
    clearTimeout(entry.idle);
    if (entry.users === 0) entries.delete(projectId);
  };
  // Open connections are few, idle ones included: the longest idle one makes room.
  const makeRoom = () => {
    const open = [...entries].filter(([, { producer }]) => producer !== undefined);
    const oldest = open.find(([, { users }]) => users === 0);
    if (open.length >= maxActive && oldest !== undefined) drop(...oldest);
  };
  const laneOf = (entry: Entry): ProducerLane => ({
    open: () => {
      if (entry.producer === undefined) makeRoom();
      entry.producer ??= create();
      return entry.producer;
    },
    discard: () => {
      entry.producer?.close();
      entry.producer = undefined;
    },
  });
  const rest = (projectId: string, entry: Entry) => {
    entries.delete(projectId);
    if (entry.producer === undefined) return;
    // The map keeps the order of insertion, so the longest idle one comes first.
    entries.set(projectId, entry);
    entry.idle = setTimeout(() => drop(projectId, entry), idleMs);
    entry.idle.unref();
  };
  return {
    use: async (projectId, signal, work) => {
      const entry = entries.get(projectId) ?? {
        turn: createSlots(1),
        users: 0,
        producer: undefined,
        idle: undefined,
      };
      entries.set(projectId, entry);
      clearTimeout(entry.idle);
      entry.users++;
      const leaves: (() => void)[] = [];
      try {
        leaves.push(await entry.turn.enter(signal));
        leaves.push(await active.enter(signal));
        return await work(laneOf(entry));
      } finally {
        for (const leave of leaves.reverse()) leave();
        entry.users--;
        if (entry.users === 0) rest(projectId, entry);
      }
    },
    close: () => {
      for (const [projectId, entry] of entries) drop(projectId, entry);
    },
  };
}
