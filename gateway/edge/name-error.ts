import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { EasyCronError, failure, fieldFailure } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { printable } from "../../mesh/printable.ts";
import { toConnectError } from "./connect-error.ts";
import { requestText } from "./request-text.ts";
import { findUndecodable } from "./undecodable.ts";

/** What connect's own errors are named with. */
export interface NameErrorParts {
  readonly logger: Logger;
  /** The limit that a request which is too large has passed. */
  readonly maxBytes: number;
}

/**
 * Sees to it that an error which connect itself makes, before or after any interceptor runs (malformed JSON, a body
 * that is too large, an unknown compression), carries a reason like every other. Call it in the request gate.
 *
 * Connect 2.2 aborts the call's signal with the error it is about to send, on all protocols; that is the one moment
 * at which the error can be completed. The tests of the gateway hold it to that.
 */
export function nameErrorsOf(context: HandlerContext, parts: NameErrorParts): void {
  context.signal.addEventListener("abort", () => {
    const error: unknown = context.signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    const named = nameError(error, context, parts);
    const { code, rawMessage, details } = toConnectError(named);
    Object.assign(error, { code, details });
    // What is not implemented may also be a compression or a form of call; connect says it better.
    if (named.reason !== "METHOD_UNIMPLEMENTED") Object.assign(error, { rawMessage });
  });
}

function nameError(error: ConnectError, context: HandlerContext, parts: NameErrorParts): EasyCronError {
  // Connect takes bytes that are no message for a fault of ours.
  const isMalformed = error.code === Code.Internal && error.rawMessage.startsWith("parse binary: ");
  switch (isMalformed ? Code.InvalidArgument : error.code) {
    case Code.InvalidArgument:
      return nameMalformed(error, context);
    case Code.ResourceExhausted:
      return failure("REQUEST_TOO_LARGE", { maxBytes: `${parts.maxBytes}` });
    case Code.Unimplemented:
      return failure("METHOD_UNIMPLEMENTED", {
        method: `${context.service.typeName}/${context.method.name}`,
      });
    case Code.DeadlineExceeded:
      return failure("DEADLINE_EXCEEDED");
    case Code.Canceled:
    case Code.Aborted:
      return failure("CANCELLED");
    default: {
      const unknown = EasyCronError.from(error);
      parts.logger.error(
        { errorId: unknown.metadata.errorId, method: context.method.name, err: error },
        "a call failed",
      );
      return unknown;
    }
  }
}

function nameMalformed(error: ConnectError, { method }: HandlerContext): EasyCronError {
  const text = requestText();
  const found = text === undefined ? undefined : findUndecodable(method.input, text);
  if (found === undefined)
    return failure("REQUEST_MALFORMED", { problem: `${printable(error.rawMessage, 200)}.` });
  const { field, value, problem } = found;
  const metadata = { value, problem: `${field}: ${problem}` };
  return fieldFailure("REQUEST_MALFORMED", field, problem, metadata);
}
