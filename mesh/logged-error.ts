import { EasyCronError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/**
 * Returns an error in the form in which it is sent to a caller, and logs each error id that it cites: its own, and
 * those of the items of a batch. `method` is the name of the call's method.
 *
 * What a service answers with goes through here, and no other place logs an error id. So each error id that a caller
 * gets is in a log line with its cause.
 */
export function toLoggedError(error: unknown, logger: Logger, method: string): EasyCronError {
  const known = EasyCronError.from(error);
  for (const [errorId, internal] of findInternal(known)) {
    logger.error({ errorId, method, err: internal.cause ?? internal }, "a call failed");
  }
  return known;
}

/**
 * Returns the INTERNAL errors among an error and its causes, by their error ids. The error of a batch has the id of its
 * first item: the item's error stays, because it is nearer to the cause.
 */
function findInternal(error: unknown, found = new Map<string, EasyCronError>()): Map<string, EasyCronError> {
  if (error instanceof EasyCronError && error.reason === "INTERNAL") {
    found.set(error.metadata.errorId ?? "", error);
  }
  if (error instanceof AggregateError) for (const each of error.errors) findInternal(each, found);
  if (error instanceof Error && error.cause !== undefined) findInternal(error.cause, found);
  return found;
}
