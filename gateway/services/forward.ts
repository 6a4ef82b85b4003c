import type { HandlerContext } from "@connectrpc/connect";
import type { CallOptions } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { toCallOptions } from "./call-options.ts";

/** What every inner service is sent: the customer's request, and who sent it. */
interface InnerRequest<I> {
  /** The project of the caller's API key. Nothing else decides what a call may see. */
  readonly projectId: string;
  readonly request: I;
  /** The API key, key_…. An inner request that has no such field leaves it out. */
  readonly actor: string;
}

/** A method of an inner service whose answer holds the customer's answer. */
type InnerMethod<I, O> = (
  request: InnerRequest<I>,
  options: CallOptions,
) => Promise<{ readonly response?: O | undefined }>;

/**
 * Makes the handler of a public method that an inner service answers: `getJob: forward(scheduler.getJob)`. The
 * handler passes on the caller's project, deadline and trace, and returns the inner response unchanged. Throws
 * API_KEY_INVALID if the caller is no project.
 */
export function forward<I, O>(
  method: InnerMethod<I, O>,
): (request: I, context: HandlerContext) => Promise<O> {
  return async (request, context) => {
    const caller = projectOf(context);
    const inner = { projectId: caller.projectId, request, actor: caller.keyId };
    return answered(await method(inner, toCallOptions(context)));
  };
}

/**
 * Returns the response inside an inner service's answer. Throws when there is none, which is a bug in that service.
 */
export function answered<T>({ response }: { readonly response?: T | undefined }): T {
  if (response === undefined) throw new Error("An inner service answered without a response.");
  return response;
}
