import { failure } from "../../mesh/errors.ts";

/** How many audits run at the same time for callers. */
const SLOTS = 2;
/** How long a further call waits for a free slot. */
const WAIT_MS = 1_000;

/** Limits how many audits run at the same time. Each holds a connection that other calls need. */
export interface AuditSlots {
  /** Runs `work` as soon as a slot is free. Throws SERVICE_UNAVAILABLE when no slot becomes free within one second. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** Creates the slots of one process. */
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

  // A released slot goes straight to the caller that has waited longest. It becomes free only when nobody waits.
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
