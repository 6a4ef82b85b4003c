import type { Logger } from "../../mesh/logger.ts";

/** Logs failures that may come many times a second. */
export interface FailureLog {
  /** Logs a failure of a project, or counts it until the next line. */
  add(projectId: string, error: unknown): void;
}

const INTERVAL_MS = 10_000;

/** Creates a log that writes at most one line each 10 s, with the number of failures since the line before. */
export function createFailureLog(logger: Logger, nowMs: () => number): FailureLog {
  let nextMs = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  return {
    add: (projectId, err) => {
      const now = nowMs();
      if (now < nextMs) {
        unlogged++;
        return;
      }
      logger.warn({ projectId, err, before: unlogged }, "Kafka did not take messages");
      nextMs = now + INTERVAL_MS;
      unlogged = 0;
    },
  };
}
