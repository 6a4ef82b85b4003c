import type { Events } from "./events.ts";

/** Something that runs again and again until it is stopped. */
export interface Loop {
  /** Runs again as soon as possible instead of at the end of the pause. */
  wake(): void;
  /** Ends the loop; resolves when the run under way has ended. */
  stop(): Promise<void>;
}

/** How to repeat it. */
export interface LoopOptions {
  /** What it is called in events. */
  readonly part: string;
  readonly everyMs: number;
  readonly events: Events;
}

const MIN_FAILURE_PAUSE_MS = 100;
const MAX_FAILURE_PAUSE_MS = 2_000;

/**
 * Runs `work` at once and then every `everyMs`. A failure is told once, and again when it is over; meanwhile the
 * pause doubles from 100 ms to 2 s, or stays as it is if that is less. It never ends the loop.
 */
export function startLoop(work: () => Promise<void>, options: LoopOptions): Loop {
  const { part, everyMs, events } = options;
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
        await work();
        if (failures > 0) events.emit("recovered", { part, failures });
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) events.emit("trouble", { part, error });
        pauseMs = failurePauseMs(failures, everyMs);
      }
      await pause(pauseMs);
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

function failurePauseMs(failures: number, everyMs: number): number {
  return Math.min(everyMs, MIN_FAILURE_PAUSE_MS * 2 ** (failures - 1), MAX_FAILURE_PAUSE_MS);
}
