/** Something that runs again and again until it is stopped. */
export interface Loop {
  /** Runs again as soon as possible instead of at the end of the pause. */
  wake(): void;
  /** Ends the loop; resolves when the run under way has ended. */
  stop(): Promise<void>;
}

/** When a run is to be followed by another. */
export interface Wanted {
  readonly more: boolean;
  readonly againMs?: number;
}

/** How to repeat it. */
export interface LoopOptions {
  /** Pause between two runs, in milliseconds. */
  readonly everyMs: number;
  /** Told of the first failure in a row. */
  readonly onFailure: (error: unknown) => void;
  /** Told of the first success after failures. */
  readonly onRecovery: (failures: number) => void;
}

const MIN_FAILURE_PAUSE_MS = 100;
const MAX_FAILURE_PAUSE_MS = 2_000;

/**
 * Runs `work` at once and then every `everyMs`, or earlier if it answers in how many milliseconds it is wanted again, or
 * without a pause while it answers that there is more. After a failure
 * the pause doubles from 100 ms to 2 s, unless `everyMs` is less. A failure never ends the loop.
 */
export function startLoop(work: () => Promise<Wanted>, options: LoopOptions): Loop {
  const { everyMs, onFailure, onRecovery } = options;
  let stopped = false;
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
        const { more, againMs = everyMs } = await work();
        if (failures > 0) onRecovery(failures);
        failures = 0;
        pauseMs = more ? 0 : Math.max(0, Math.min(everyMs, againMs));
      } catch (error) {
        failures += 1;
        if (failures === 1) onFailure(error);
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
  };
}
