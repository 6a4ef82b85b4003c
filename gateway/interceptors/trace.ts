import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { childTraceparent } from "../../mesh/trace.ts";

/** The W3C traceparent of the call that is being served. */
export const traceparentKey = createContextKey<string | undefined>(undefined, { description: "traceparent" });

/** Makes this call a child of the trace that the header `traceparent` names, or the beginning of one. */
export const traceInterceptor: Interceptor = (next) => (request) => {
  request.contextValues.set(traceparentKey, childTraceparent(request.header.get("traceparent") ?? undefined));
  return next(request);
};
