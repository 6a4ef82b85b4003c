import type { Logger } from "../mesh/logger.ts";

/** Logs a failure, with further fields, or counts it until the next line. */
export type FailureLog = (error: unknown, fields?: object) => void;

const EVERY_MS = 10_000;

/**
 * Makes a log of failures that may come many times a second. It writes at most one line every 10 s, a warning with the
 * failure and the number of failures since the line before.
 */
export function createFailureLog(
  logger: Pick<Logger, "warn">,
  words: string,
  nowMs: () => number = () => performance.now(),
): FailureLog {
  let loggedMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  return (err, fields) => {
    failures += 1;
    const now = nowMs();
    if (now - loggedMs < EVERY_MS) return;
    logger.warn({ ...fields, err, failures }, words);
    loggedMs = now;
    failures = 0;
  };
}
