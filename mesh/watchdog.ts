import type { Logger } from "./logger.ts";
import type { Readiness } from "./readiness.ts";

/** Something that must complete again and again, such as a loop. */
export interface Watched {
  /** Its name in logs. */
  readonly name: string;
  /** How long ago it completed last, in milliseconds. */
  readonly sinceSuccessMs: () => number;
  /** The longest that may be. */
  readonly limitMs: number;
  /** Whether the service does not serve while it does not complete. */
  readonly isVital: boolean;
  /** What it may wait for now, for the log: such as the statement that PostgreSQL does not answer. */
  readonly waitsFor: () => object | undefined;
}

/** Looks whether things complete in time. */
export interface Watchdog {
  /** Whether everything vital had completed in time when it looked last. */
  isHealthy(): boolean;
  /** Returns what had not completed in time when it looked last: what is vital as problems, the rest as warnings. */
  readiness(): Readiness;
  stop(): void;
}

const LOOK_EVERY_MS = 250;

/**
 * Starts to look, four times a second, whether each watched thing has completed within its limit. Logs an error when
 * one has not, and a line when it completes after all. Calls `onHealth` whenever `isHealthy` changes; it is true at
 * first.
 */
export function startWatchdog(parts: {
  readonly watched: readonly Watched[];
  readonly logger: Pick<Logger, "info" | "error">;
  readonly onHealth: (isHealthy: boolean) => void;
}): Watchdog {
  const { watched, logger, onHealth } = parts;
  /** What has not completed in time, and how long that had lasted when it was looked at last. */
  const stalled = new Map<Watched, number>();
  const look = (each: Watched): void => {
    const sinceMs = Math.round(each.sinceSuccessMs());
    const beforeMs = stalled.get(each);
    if (sinceMs > each.limitMs) {
      stalled.set(each, sinceMs);
      if (beforeMs !== undefined) return;
      const message = `a loop has not completed in time${each.isVital ? "; not serving until it does" : ""}`;
      logger.error({ loop: each.name, sinceMs, waitsFor: each.waitsFor() }, message);
    } else if (beforeMs !== undefined) {
      stalled.delete(each);
      logger.info({ loop: each.name, sinceMs: beforeMs }, "a loop completes again");
    }
  };
  const isHealthy = () => ![...stalled.keys()].some(({ isVital }) => isVital);
  const timer = setInterval(() => {
    const wasHealthy = isHealthy();
    for (const each of watched) look(each);
    if (isHealthy() !== wasHealthy) onHealth(!wasHealthy);
  }, LOOK_EVERY_MS).unref();
  const describe = (isVital: boolean) =>
    [...stalled]
      .filter(([each]) => each.isVital === isVital)
      .map(
        ([{ name, limitMs }, sinceMs]) =>
          `${name} has not completed for ${sinceMs} ms; the limit is ${limitMs} ms.`,
      );
  const readiness = () => ({ problems: describe(true), warnings: describe(false) });
  return { isHealthy, readiness, stop: () => clearInterval(timer) };
}
