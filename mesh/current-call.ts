import { AsyncLocalStorage } from "node:async_hooks";
import type { CallSpan } from "./call-span.ts";
import { randomHex } from "./trace.ts";

/** What log lines, errors and inner calls tell about the call that is being served. */
export interface CurrentCall {
  /** The call's x-request-id. The same in each service that the call goes through. */
  readonly requestId: string;
  /** The W3C traceparent of the call in this process. */
  readonly traceparent: string;
  /** The call's span in this process; undefined if it is not recorded. */
  readonly span?: CallSpan | undefined;
}

interface Slot {
  readonly call: CurrentCall;
  hasEnded: boolean;
}

const slots = new AsyncLocalStorage<Slot>();

/** Returns the call that is being served; undefined outside of one, and when the call has been answered. */
export function currentCall(): CurrentCall | undefined {
  // Loops, timers and connections that a call began go on after it. What they do then is not a part of the call.
  const slot = slots.getStore();
  return slot === undefined || slot.hasEnded ? undefined : slot.call;
}

/** Serves a call: within `serve`, until the promise is settled, `currentCall` returns it. */
export async function serveCall<T>(call: CurrentCall, serve: () => Promise<T>): Promise<T> {
  const slot: Slot = { call, hasEnded: false };
  try {
    return await slots.run(slot, serve);
  } finally {
    slot.hasEnded = true;
  }
}

/**
 * Returns the headers that pass the current call on to another service of the mesh. Outside of a call there is no trace to
 * pass on, unless `traceparent` names one, so that the sampler of the other service decides.
 */
export function callHeaders(traceparent?: string): Readonly<Record<string, string>> {
  const call = currentCall();
  const parent = traceparent ?? call?.traceparent;
  return {
    ...(parent !== undefined && { traceparent: parent }),
    ...(call !== undefined && { "x-request-id": call.requestId }),
  };
}

/** What a request id may be: 1 to 128 letters, digits and some signs that mean nothing in a log, a header or a URL. */
const SANE = /^[A-Za-z0-9._~:+/=@-]{1,128}$/;

/** Returns the request id that the caller has sent, if it is sane; otherwise a new one, `req_` and 32 hex digits. */
export function toRequestId(given: string | undefined): string {
  return given !== undefined && SANE.test(given) ? given : `req_${randomHex(16)}`;
}
