import type { Interceptor } from "@connectrpc/connect";
import type { Clock } from "../../mesh/clock.ts";
import { type AuthenticateParts, authenticate } from "../access/authenticate.ts";
import { callerKey, identifiedMsKey } from "../access/caller.ts";

/** The longest time for which it counts that the request gate has accepted a key, in milliseconds. */
const VALID_MS = 500;

/**
 * Creates the interceptor that checks the API key of a call again when its body took longer than half a second to
 * arrive. Otherwise somebody could begin a call, hold its body back for a minute, and so use a key after it was revoked.
 */
export function createAccessInterceptor(parts: AuthenticateParts & { readonly clock: Clock }): Interceptor {
  return (next) => async (request) => {
    const { service, method, header, contextValues } = request;
    const ageMs = parts.clock.now() - contextValues.get(identifiedMsKey);
    // The age is negative when the clock was set back.
    if (ageMs < 0 || ageMs > VALID_MS) {
      contextValues.set(callerKey, await authenticate(parts, { service, method, requestHeader: header }));
    }
    return next(request);
  };
}
