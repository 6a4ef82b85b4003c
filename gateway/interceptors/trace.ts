import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { childTraceparent } from "../../mesh/trace.ts";

/** The context key of the W3C traceparent of the current call. */
export const traceparentKey = createContextKey<string | undefined>(undefined, { description: "traceparent" });

/**
 * Makes the call a child span of the trace in the header `traceparent`. Without a valid header it starts a new trace.
 */
export const traceInterceptor: Interceptor = (next) => (request) => {
  request.contextValues.set(traceparentKey, childTraceparent(request.header.get("traceparent") ?? undefined));
  return next(request);
};
