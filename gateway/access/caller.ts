import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { failure } from "../../mesh/errors.ts";

/** A caller with the key of a project. */
export interface ProjectCaller {
  readonly kind: "project";
  /** The id of the project, proj_…. */
  readonly projectId: string;
  /** The id of the API key, key_…. */
  readonly keyId: string;
}

/** Who makes a call. `nobody` is a caller without a key, for health checks and acknowledgements. */
export type Caller = ProjectCaller | { readonly kind: "operator" } | { readonly kind: "nobody" };

/** The context key under which the request gate stores the caller. */
export const callerKey = createContextKey<Caller>({ kind: "nobody" }, { description: "caller" });

/** The context key of the time at which the caller was last identified, in epoch milliseconds. */
export const identifiedMsKey = createContextKey<number>(0, { description: "identifiedMs" });

/**
 * Returns the calling project. Throws API_KEY_INVALID if the caller is no project; the request gate has checked that
 * before.
 */
export function projectOf(context: Pick<HandlerContext, "values">): ProjectCaller {
  const caller = context.values.get(callerKey);
  if (caller.kind !== "project")
    throw failure("API_KEY_INVALID", { problem: "it is not the key of a project." });
  return caller;
}
