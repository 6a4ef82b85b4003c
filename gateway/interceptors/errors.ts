import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { failure } from "../../mesh/errors.ts";
import { toLoggedError } from "../../mesh/logged-error.ts";
import type { Logger } from "../../mesh/logger.ts";
import { toConnectError } from "../edge/connect-error.ts";

/**
 * Creates the interceptor that turns anything a handler throws into an error with a reason. It logs INTERNAL errors
 * with the error id that the caller gets. It must be the outermost interceptor. An inner call that was cancelled
 * because the caller's deadline passed becomes DEADLINE_EXCEEDED.
 */
export function createErrorsInterceptor(logger: Logger): Interceptor {
  const convert = (error: unknown, method: string, signal: AbortSignal): ConnectError => {
    // Connect's own errors get their reason where they are sent: see edge/name-error.ts.
    if (error instanceof ConnectError) return error;
    const known = toLoggedError(error, logger, method);
    const isLate = known.reason === "CANCELLED" && hasTimedOut(signal);
    return toConnectError(isLate ? failure("DEADLINE_EXCEEDED", {}, { cause: known }) : known);
  };

  return (next) => async (request) => {
    const toError = (error: unknown) => convert(error, request.method.name, request.signal);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: convertIn(response.message, toError) } : response;
    } catch (error) {
      throw toError(error);
    }
  };
}

function hasTimedOut(signal: AbortSignal): boolean {
  return signal.reason instanceof ConnectError && signal.reason.code === Code.DeadlineExceeded;
}

async function* convertIn<T>(
  messages: AsyncIterable<T>,
  toError: (error: unknown) => ConnectError,
): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw toError(error);
  }
}
