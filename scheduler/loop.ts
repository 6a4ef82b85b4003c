import type { Logger } from "../mesh/logger.ts";
import type { Tick } from "./tick.ts";

/** The scheduler's one loop. */
export interface Loop {
  /** Ticks as soon as possible instead of at the end of the pause: a job may be due before it. */
  wake(): void;
  /** Ends the loop; resolves when the tick that runs has ended. */
  stop(): Promise<void>;
}

/** Pauses after failures: doubles from the first to the second, in milliseconds. */
const FAILURE_PAUSE_MS = [100, 2_000] as const;

/**
 * Ticks every `tickMs`, and at once while more is due. A failing tick is logged at its first failure, and when it
 * has recovered; it never ends the loop.
 */
export function startLoop(tick: Tick, options: { readonly tickMs: number; readonly logger: Logger }): Loop {
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
      let pauseMs: number = options.tickMs;
      try {
        const { more } = await tick.run();
        if (failures > 0) options.logger.info({ failures }, "ticking again");
        failures = 0;
        if (more) pauseMs = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) options.logger.warn({ err: error }, "tick failed; trying again");
        pauseMs = Math.min(FAILURE_PAUSE_MS[0] * 2 ** (failures - 1), FAILURE_PAUSE_MS[1]);
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
