import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { currentCall } from "../../mesh/current-call.ts";
import { childTraceparent } from "../../mesh/trace.ts";

/** The context key of the W3C traceparent of the current call. */
export const traceparentKey = createContextKey<string | undefined>(undefined, { description: "traceparent" });

/**
 * Makes the call a child span of the trace in the header `traceparent`. Without a valid header it starts a new trace. The
 * listener has done so already for a call that it serves (`serveCall`).
 */
export const traceInterceptor: Interceptor = (next) => (request) => {
  const traceparent =
    currentCall()?.traceparent ?? childTraceparent(request.header.get("traceparent") ?? undefined);
  request.contextValues.set(traceparentKey, traceparent);
  return next(request);
};
