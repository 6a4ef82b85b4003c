import type { Logger } from "./logger.ts";

/** Makes a function that never throws of one that only observes. */
export type Guard = <A extends readonly unknown[]>(observe: (...of: A) => void) => (...of: A) => void;

/**
 * Makes a guard around `part`, in words for the log. What observes the work of a process must not stop it. So what the
 * functions throw is kept from their callers: the first error of all of them is logged, and later ones are not, because
 * they may come with each trigger.
 */
export function createGuard(logger: Pick<Logger, "error">, part: string): Guard {
  let hasLogged = false;
  return (observe) =>
    (...of) => {
      try {
        observe(...of);
      } catch (error) {
        if (hasLogged) return;
        hasLogged = true;
        logger.error({ err: error, part }, "telemetry failed; further failures of this part are not logged");
      }
    };
}
