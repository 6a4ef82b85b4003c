import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { type EasyCronError, failure } from "../../mesh/errors.ts";
import { toLoggedError } from "../../mesh/logged-error.ts";
import type { Logger } from "../../mesh/logger.ts";
import { printable } from "../../mesh/printable.ts";
import { toConnectError } from "./connect-error.ts";
import { malformed } from "./malformed.ts";
import { expectRequest, undecodableParts } from "./request-text.ts";

/** What `nameErrorsOf` needs. */
export interface NameErrorParts {
  readonly logger: Logger;
  /** The largest request that the gateway reads, in bytes. */
  readonly maxBytes: number;
}

/**
 * Adds a reason to the errors that Connect itself creates outside the interceptors, such as malformed JSON, a body
 * that is too large or an unknown compression. Call it in the request gate.
 *
 * On all protocols Connect 2.2 aborts the call's signal with the error that it is about to send. Only at that moment
 * can the error be changed. The tests of the gateway fail if a newer Connect no longer does so.
 */
export function nameErrorsOf(context: HandlerContext, parts: NameErrorParts): void {
  // The request of a stream is read while the call is served, too late to be taken apart.
  if (context.method.methodKind === "unary") expectRequest(context.method.input);
  context.signal.addEventListener("abort", () => {
    const error: unknown = context.signal.reason;
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    const named = nameError(error, context, parts);
    const { code, rawMessage, details } = toConnectError(named);
    Object.assign(error, { code, details });
    // Not only a method can be unimplemented, but also a compression or a kind of call. Connect's own message says
    // which.
    if (named.reason !== "METHOD_UNIMPLEMENTED") Object.assign(error, { rawMessage });
  });
}

function nameError(error: ConnectError, context: HandlerContext, parts: NameErrorParts): EasyCronError {
  // Connect reports bytes that are no message as an internal error.
  const isMalformed = error.code === Code.Internal && error.rawMessage.startsWith("parse binary: ");
  switch (isMalformed ? Code.InvalidArgument : error.code) {
    case Code.InvalidArgument:
      return nameMalformed(error);
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
    default:
      return toLoggedError(error, parts.logger, context.method.name);
  }
}

function nameMalformed(error: ConnectError): EasyCronError {
  return (
    malformed(undecodableParts()) ??
    failure("REQUEST_MALFORMED", { problem: `${printable(withoutText(error.rawMessage), 200)}.` })
  );
}

/** Removes the piece of the request that V8 quotes when JSON has a wrong character: it may be a part of a secret. */
function withoutText(message: string): string {
  return message.replace(/Unexpected token .* is not valid JSON/s, "Unexpected character in the JSON");
}
