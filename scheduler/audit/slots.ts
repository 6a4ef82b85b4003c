import { failure } from "../../mesh/errors.ts";

/** How many audits run at once for callers, and how long another call waits for one of them to end. */
const SLOTS = 2;
const WAIT_MS = 1_000;

/** Lets few audits run at once: each holds a connection of the pool that the tick uses. */
export interface AuditSlots {
  /** Runs `work` as soon as a slot is free. Throws SERVICE_UNAVAILABLE when none is within a second. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes the slots of one process. */
export function createAuditSlots({ slots = SLOTS, waitMs = WAIT_MS } = {}): AuditSlots {
  let free = slots;
  const waiting: (() => void)[] = [];

  const take = (): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const given = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(given), 1);
        reject(failure("SERVICE_UNAVAILABLE", { service: "audit" }, { retryAfterMs: 2 * waitMs }));
      }, waitMs);
      waiting.push(given);
    });
  };

  // A slot goes from one hand to the next: it is free only when nobody waits.
  const give = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };

  return {
    run: async (work) => {
      await take();
      try {
        return await work();
      } finally {
        give();
      }
    },
  };
}
