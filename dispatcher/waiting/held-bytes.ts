import { type HeldTrigger, isLate } from "./held-trigger.ts";

/** How much memory the held triggers may use, roughly. Late triggers use at most half of each limit. */
export interface HeldLimits {
  /** The triggers of one project. */
  readonly projectBytes: number;
  /** All triggers. The last eighth is reserved for projects that use less than FEW_BYTES. */
  readonly totalBytes: number;
}

/** The projects of which no more triggers should be taken. */
export interface Crowded {
  /** No trigger of these projects. */
  readonly all: readonly string[];
  /** No late trigger of these projects. */
  readonly late: readonly string[];
  /** Whether no late trigger of any project should be taken. */
  readonly noLate: boolean;
}

/** An account of the memory that held triggers use. */
export interface HeldBytes {
  add(trigger: HeldTrigger): void;
  remove(trigger: HeldTrigger): void;
  /** Whether a limit is reached that concerns this trigger. */
  isCrowded(trigger: HeldTrigger): boolean;
  crowded(): Crowded;
  /** Whether there is room for a trigger of some project. */
  hasRoom(): boolean;
}

/** The limits of a dispatcher: 220,000 triggers of one project, and 900,000 in all, if none has a payload of its own. */
export const HELD_LIMITS: HeldLimits = { projectBytes: 128 * 1024 * 1024, totalBytes: 512 * 1024 * 1024 };

/** What a held trigger uses besides its payload and its job's name: about 550 bytes, measured in Node 24. */
export const BASE_BYTES = 600;

/** A project that uses less than this may also use the reserve: 1,700 triggers without a payload. */
export const FEW_BYTES = 1024 * 1024;
const RESERVE = 1 / 8;
const LATE_SHARE = 1 / 2;

/** Makes an empty account. */
export function createHeldBytes({ projectBytes, totalBytes }: HeldLimits): HeldBytes {
  const used = new Map<string, number>();
  const lateUsed = new Map<string, number>();
  const open = totalBytes * (1 - RESERVE);
  let total = 0;
  let lateTotal = 0;

  const change = (trigger: HeldTrigger, sign: 1 | -1): void => {
    const bytes = sign * sizeOf(trigger);
    total += bytes;
    addTo(used, trigger.projectId, bytes);
    if (!isLate(trigger)) return;
    lateTotal += bytes;
    addTo(lateUsed, trigger.projectId, bytes);
  };

  const isFull = (bytes: number): boolean =>
    bytes >= projectBytes || total >= totalBytes || (total >= open && bytes >= FEW_BYTES);
  const isFullOfLate = (bytes: number): boolean => bytes >= projectBytes * LATE_SHARE;
  const noLate = (): boolean => lateTotal >= totalBytes * LATE_SHARE;

  return {
    add: (trigger) => change(trigger, 1),
    remove: (trigger) => change(trigger, -1),
    isCrowded: (trigger) => {
      const { projectId } = trigger;
      if (isFull(used.get(projectId) ?? 0)) return true;
      return isLate(trigger) && (noLate() || isFullOfLate(lateUsed.get(projectId) ?? 0));
    },
    crowded: () => ({
      all: namesOf(used, isFull),
      late: namesOf(lateUsed, isFullOfLate),
      noLate: noLate(),
    }),
    hasRoom: () => total < totalBytes,
  };
}

function sizeOf({ payload, jobName }: HeldTrigger): number {
  return BASE_BYTES + jobName.length + (payload?.length ?? 0);
}

function addTo(sums: Map<string, number>, name: string, change: number): void {
  const sum = (sums.get(name) ?? 0) + change;
  if (sum > 0) sums.set(name, sum);
  else sums.delete(name);
}

function namesOf(sums: ReadonlyMap<string, number>, isFull: (sum: number) => boolean): string[] {
  return [...sums].filter(([, sum]) => isFull(sum)).map(([name]) => name);
}
