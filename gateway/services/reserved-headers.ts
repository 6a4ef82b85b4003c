/** Header names that EasyCron sets on every delivery. */
const OURS = ["content-type", "idempotency-key", "traceparent", "tracestate", "user-agent"];

/** Header names by which HTTP itself frames and routes a message. */
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

/** Whether a job may not set this header: EasyCron sets it, or HTTP reserves it. Case makes no difference. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return NAMES.has(lower) || PREFIXES.some((prefix) => lower.startsWith(prefix));
}
