import type { HandlerContext } from "@connectrpc/connect";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { traceparentKey } from "../interceptors/trace.ts";

/** Returns the options of an inner call: the deadline, the cancellation and the trace of the customer's call. */
export function toCallOptions(context: Pick<HandlerContext, "signal" | "timeoutMs" | "values">): CallOptions {
  return {
    signal: context.signal,
    deadlineMs: context.timeoutMs(),
    traceparent: context.values.get(traceparentKey),
  };
}
