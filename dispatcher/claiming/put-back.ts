import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import { nameOfRevision } from "../delivery/spec-cache.ts";
import type { Events } from "../events/events.ts";
import { LONG_TRIES } from "../results/put-off.ts";
import type { SetAside } from "../set-aside/set-aside.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/** A trigger for which a statement fails, and the error. */
export interface FailedTrigger {
  readonly item: HeldTrigger;
  readonly error: unknown;
}

/**
 * Puts due triggers that cannot be handled now back to wait. They stay held and owned, and use no place of a lane and
 * no claim meanwhile.
 */
export interface PutBack {
  /**
   * Puts back a trigger that could not be claimed or ended, and whose row says that it is due at `dueMs`. If that is in
   * the future, because the clock has stepped back, the trigger waits until then. Otherwise its row is locked, or the
   * trigger has to give way: it is tried again after 50 ms, and later after up to a second. What has been tried for about
   * ten seconds is reported as `trouble`.
   */
  postpone(trigger: HeldTrigger, dueMs: number): void;
  /** Sets triggers aside that cannot be claimed or ended, or whose specification cannot be read. Never throws. */
  setAside(kind: "trigger" | "specification", failed: readonly FailedTrigger[]): Promise<void>;
  /** To be called for triggers that could be claimed or ended. */
  handled(triggers: readonly HeldTrigger[]): void;
}

const PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/** Makes a `PutBack` that remembers, for each held trigger, how often in a row it was postponed. */
export function createPutBack(parts: {
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly setAside: SetAside;
  /** Makes a held trigger wait until an instant, in epoch milliseconds. */
  readonly waitUntil: (trigger: HeldTrigger, dueMs: number) => void;
}): PutBack {
  const { clock, random, events, setAside, waitUntil } = parts;
  // How often in a row each trigger was postponed.
  const tries = new WeakMap<HeldTrigger, number>();
  return {
    postpone: (trigger, dueMs) => {
      const nowMs = clock.now();
      if (dueMs > nowMs) return waitUntil(trigger, dueMs);
      const attempt = (tries.get(trigger) ?? 0) + 1;
      tries.set(trigger, attempt);
      if (attempt >= LONG_TRIES) {
        const why = "Another transaction has locked its row, or too many results of its project are put off.";
        const error = new Error(`The trigger ${trigger.id} is due and cannot be claimed. ${why}`);
        events.emit("trouble", { part: "triggers that wait for their rows", error });
      }
      waitUntil(trigger, nowMs + backoffMs({ attempt, ...PAUSE, random }));
    },
    setAside: async (kind, failed) => {
      const idOf = (trigger: HeldTrigger) => (kind === "trigger" ? trigger.id : nameOfRevision(trigger));
      const items = failed.map(({ item, error }) => ({
        id: idOf(item),
        projectId: item.projectId,
        jobUid: item.jobUid,
        error,
      }));
      const pauses = await setAside.put(kind, items);
      for (const { item } of failed) waitUntil(item, clock.now() + (pauses.get(idOf(item)) ?? PAUSE.maxMs));
    },
    handled: (triggers) => {
      for (const trigger of triggers) tries.delete(trigger);
      setAside.remove(
        "trigger",
        triggers.map(({ id }) => id),
      );
    },
  };
}
