import { ConnectFailed } from "../../mesh/egress.ts";

/** Whether an error of undici or of a socket says that the other side has closed the connection. */
export function isConnectionClosed(error: unknown): boolean {
  return CLOSED.has(codeOf(error));
}

const CLOSED: ReadonlySet<string> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** Finds what tells how far the opening of a connection came; undefined if the error is another one. */
export function findConnectFailed(error: unknown): ConnectFailed | undefined {
  const found = findCause(error, (cause) => cause instanceof ConnectFailed);
  return found as ConnectFailed | undefined;
}

/** Returns the code of an error, or the first code among its causes; an empty text when there is none. */
export function codeOf(error: unknown): string {
  let code = "";
  findCause(error, (cause) => {
    const found = (cause as { code?: unknown } | undefined)?.code;
    if (typeof found === "string") code = found;
    return code !== "";
  });
  return code;
}

/**
 * Searches an error, its causes and the errors of an AggregateError, at most ten levels deep. Returns the first that
 * `matches`; undefined when none does.
 */
export function findCause(error: unknown, matches: (cause: unknown) => boolean, depth = 10): unknown {
  if (error === undefined || error === null || depth === 0) return undefined;
  if (matches(error)) return error;
  if (error instanceof AggregateError) {
    for (const part of error.errors) {
      const found = findCause(part, matches, depth - 1);
      if (found !== undefined) return found;
    }
  }
  return error instanceof Error ? findCause(error.cause, matches, depth - 1) : undefined;
}
