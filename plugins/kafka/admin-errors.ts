import { ProtocolError, ResponseError } from "@platformatic/kafka";

/** Returns whether an error is Kafka's answer to a request, other than to a login. */
export function isAnswer(error: unknown): boolean {
  const ids = answersOf(error);
  return (
    ids.length > 0 && !ids.some((id) => id === "SASL_AUTHENTICATION_FAILED" || id === "ILLEGAL_SASL_STATE")
  );
}

/** Returns whether all that Kafka refused, it refused for this reason, such as "TOPIC_ALREADY_EXISTS". */
export function isOnly(error: unknown, id: string): boolean {
  const ids = answersOf(error);
  return ids.length > 0 && ids.every((each) => each === id);
}

/** Returns the response that an error came with: Kafka may have refused only a part of the request. */
function responseOf(error: unknown): unknown {
  return error instanceof ResponseError ? error.response : undefined;
}

/** Returns whether Kafka refused something that it may grant a moment later, such as when a coordinator is loading. */
export function isTemporary(error: unknown): boolean {
  const refusals = refusalsOf(error);
  return refusals.length > 0 && refusals.every(({ canRetry }) => canRetry === true);
}

function answersOf(error: unknown): string[] {
  return refusalsOf(error).map(({ apiId }) => String(apiId));
}

/** Returns the refusals in an error. The client nests them in `errors` and `cause`. */
function refusalsOf(error: unknown, depth = 0): ProtocolError[] {
  if (!(error instanceof Error) || depth > 5) return [];
  if (error instanceof ProtocolError) return [error];
  const nested: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...nested, error.cause].flatMap((each) => refusalsOf(each, depth + 1));
}
