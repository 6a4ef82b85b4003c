/** Something that must complete again and again, such as a loop. */
export interface Watched {
  /** Its name, for logs. */
  readonly name: string;
  /** How long ago it completed last, in milliseconds. */
  readonly sinceSuccessMs: () => number;
  /** The most that may be. */
  readonly limitMs: number;
  /** What it waits for now, for logs, such as the statement that PostgreSQL does not answer. */
  readonly waitsFor?: () => object | undefined;
}

/** A watched thing that has not completed in time. */
export interface Stall {
  readonly name: string;
  /** How long ago it completed last, in milliseconds. */
  readonly sinceMs: number;
  readonly waitsFor: object | undefined;
}

/** What a watchdog watches, and whom it tells. */
export interface WatchdogOptions {
  readonly watched: readonly Watched[];
  /** Called once when one of them has not completed in time. */
  readonly onStall: (stall: Stall) => void;
  /** Called when it has completed after all, with its name and how long it took since the time before. */
  readonly onRecovery: (name: string, stalledMs: number) => void;
  /** Called when all complete in time again, or no longer do. All do at first. */
  readonly onHealth: (isHealthy: boolean) => void;
}

/** Looks whether things complete in time. */
export interface Watchdog {
  /** Whether all of them have completed in time when it looked last. */
  isHealthy(): boolean;
  stop(): void;
}

const LOOK_EVERY_MS = 250;

/** Starts to look, four times a second, whether each watched thing has completed within its limit. */
export function startWatchdog({ watched, onStall, onRecovery, onHealth }: WatchdogOptions): Watchdog {
  /** By name: how long ago a stalled thing completed last, when it was looked at last. */
  const stalled = new Map<string, number>();
  const look = () => {
    const wasHealthy = stalled.size === 0;
    for (const { name, sinceSuccessMs, limitMs, waitsFor } of watched) {
      const sinceMs = Math.round(sinceSuccessMs());
      const before = stalled.get(name);
      if (sinceMs > limitMs) {
        stalled.set(name, sinceMs);
        if (before === undefined) onStall({ name, sinceMs, waitsFor: waitsFor?.() });
      } else if (before !== undefined) {
        stalled.delete(name);
        onRecovery(name, before);
      }
    }
    const isHealthy = stalled.size === 0;
    if (isHealthy !== wasHealthy) onHealth(isHealthy);
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return { isHealthy: () => stalled.size === 0, stop: () => clearInterval(timer) };
}
