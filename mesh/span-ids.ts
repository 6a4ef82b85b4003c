import { randomHex } from "./trace.ts";

/** The ids that the next span gets in place of random ones. */
interface GivenIds {
  readonly traceId?: string;
  readonly spanId?: string;
}

let given: GivenIds | undefined;

/** Makes the ids of spans: random ones, but for a span that is started within `withSpanIds`. */
export const spanIds = {
  generateTraceId: () => given?.traceId ?? randomHex(16),
  generateSpanId: () => given?.spanId ?? randomHex(8),
};

/** Runs `start`, which starts one span, with ids that are known beforehand. */
export function withSpanIds<T>(ids: GivenIds, start: () => T): T {
  given = ids;
  try {
    return start();
  } finally {
    given = undefined;
  }
}
