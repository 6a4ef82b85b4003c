import { EasyCronError, failure } from "./errors.ts";

/**
 * Collects the errors of several checks of one request, so that one error can tell all of them.
 *
 *     const errors = collectErrors();
 *     errors.check(() => checkRetryPolicy(job));
 *     errors.check(() => checkCalendars(job));
 *     errors.throwIfAny();
 */
export interface ErrorCollector {
  /** Runs a check and returns its result. Keeps the EasyCronError that it throws, and returns undefined then. */
  check<T>(work: () => T): T | undefined;
  /** Keeps an error. */
  add(error: EasyCronError): void;
  /**
   * Throws one error for all that were kept: it has the reason and message of the first, and the violations of all.
   * Does nothing if there are none.
   */
  throwIfAny(): void;
}

/** Creates a collector without errors. */
export function collectErrors(): ErrorCollector {
  const errors: EasyCronError[] = [];
  return {
    check: (work) => {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof EasyCronError)) throw error;
        errors.push(error);
        return undefined;
      }
    },
    add: (error) => {
      errors.push(error);
    },
    throwIfAny: () => {
      const [first] = errors;
      if (first === undefined) return;
      if (errors.length === 1) throw first;
      const violations = errors.flatMap((error) => error.violations);
      throw failure(first.reason, first.metadata, { violations, cause: first });
    },
  };
}
