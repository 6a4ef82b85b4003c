/** Header names that EasyCron sets on every delivery. */
const OURS = ["content-type", "idempotency-key", "traceparent", "tracestate", "user-agent"];

/** Header names that HTTP itself uses to frame and route a message. */
const HTTP = [
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

const NAMES: ReadonlySet<string> = new Set([...OURS, ...HTTP]);
const PREFIXES = ["webhook-", "easycron-", "proxy-"];

/** Returns whether a job must not set this header, because EasyCron sets it or HTTP reserves it. Ignores case. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return NAMES.has(lower) || PREFIXES.some((prefix) => lower.startsWith(prefix));
}
