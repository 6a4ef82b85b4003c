import type { HandlerContext } from "@connectrpc/connect";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { traceparentKey } from "../interceptors/trace.ts";

/** What a call inward takes over from the customer's call: its deadline, its end, its trace. */
export function toCallOptions(context: Pick<HandlerContext, "signal" | "timeoutMs" | "values">): CallOptions {
  return {
    signal: context.signal,
    deadlineMs: context.timeoutMs(),
    traceparent: context.values.get(traceparentKey),
  };
}
