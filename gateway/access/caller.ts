import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { failure } from "../../mesh/errors.ts";

/** A project that has shown its key. */
export interface ProjectCaller {
  readonly kind: "project";
  /** proj_…. */
  readonly projectId: string;
  /** Which of its keys, key_…. */
  readonly keyId: string;
  /** Kinds of plugin that it has enabled: redis, kafka. */
  readonly plugins: readonly string[];
}

/** Whoever has shown a valid key. */
export type Caller = ProjectCaller | { readonly kind: "operator" } | { readonly kind: "nobody" };

/** Where the request gate leaves the caller. */
export const callerKey = createContextKey<Caller>({ kind: "nobody" }, { description: "caller" });

/** The calling project. Throws API_KEY_INVALID if it is none; the request gate has seen to that already. */
export function projectOf(context: Pick<HandlerContext, "values">): ProjectCaller {
  const caller = context.values.get(callerKey);
  if (caller.kind !== "project") throw failure("API_KEY_INVALID");
  return caller;
}
