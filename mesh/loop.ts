/** Work that repeats until it is stopped. */
export interface Loop {
  /** Ends the pause, so that the next run starts as soon as possible. */
  wake(): void;
  /** Stops the loop. Resolves when the current run has ended. */
  stop(): Promise<void>;
  /** Returns how long ago the last successful run ended, or the loop started if there was none, in milliseconds. */
  sinceSuccessMs(): number;
}

/** When the next run should start. */
export interface Wanted {
  /** If true, the next run starts without a pause. */
  readonly more: boolean;
  /** The pause until the next run, in milliseconds, if it is shorter than `everyMs`. */
  readonly againMs?: number;
  /** If true, the run did nothing, and says nothing about whether the work succeeds: failures go on to count. */
  readonly isIdle?: boolean;
}

/** How a loop repeats its work. */
export interface LoopOptions {
  /** The pause between two runs, in milliseconds. */
  readonly everyMs: number;
  /**
   * Called on the first of several failures in a row, and then at most every 10 s while it fails, with the number of
   * failures since the call before (1 at first).
   */
  readonly onFailure: (error: unknown, failures: number) => void;
  /** Called on the first success after failures, with their number. */
  readonly onRecovery: (failures: number) => void;
}

const MIN_FAILURE_PAUSE_MS = 100;
const MAX_FAILURE_PAUSE_MS = 2_000;
const REPORT_EVERY_MS = 10_000;

/**
 * Runs `work` at once and then every `everyMs`. The next run comes earlier if `work` returns a shorter pause, and
 * without a pause if it returns that there is more to do. After a failure the pause is 100 ms and doubles with each
 * further failure up to 2 s, but is never longer than `everyMs`. A failure never ends the loop.
 */
export function startLoop(work: () => Promise<Wanted>, options: LoopOptions): Loop {
  const { everyMs, onRecovery } = options;
  const report = createFailureReport(options.onFailure);
  let stopped = false;
  let succeededMs = performance.now();
  let woken = false;
  let endPause: (() => void) | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
      if (woken || stopped) endPause();
    });

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!stopped) {
      woken = false;
      let pauseMs = everyMs;
      try {
        const { more, againMs = everyMs, isIdle = false } = await work();
        if (!isIdle) {
          succeededMs = performance.now();
          if (failures > 0) onRecovery(failures);
          failures = 0;
        }
        pauseMs = more ? 0 : Math.max(0, Math.min(everyMs, againMs));
      } catch (error) {
        failures += 1;
        report(error, failures === 1);
        pauseMs = Math.min(everyMs, MIN_FAILURE_PAUSE_MS * 2 ** (failures - 1), MAX_FAILURE_PAUSE_MS);
      }
      if (pauseMs > 0) await pause(pauseMs);
    }
  };

  const running = run();
  return {
    wake: () => {
      woken = true;
      endPause?.();
    },
    stop: () => {
      stopped = true;
      endPause?.();
      return running;
    },
    sinceSuccessMs: () => performance.now() - succeededMs,
  };
}

/** Makes a function that counts failures, and reports the first of a row at once and the others every 10 s. */
function createFailureReport(
  onFailure: LoopOptions["onFailure"],
): (error: unknown, isFirst: boolean) => void {
  let unreported = 0;
  let reportedMs = 0;
  return (error, isFirst) => {
    if (isFirst) unreported = 0;
    unreported += 1;
    const nowMs = performance.now();
    if (!isFirst && nowMs - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = nowMs;
    onFailure(error, unreported);
    unreported = 0;
  };
}
