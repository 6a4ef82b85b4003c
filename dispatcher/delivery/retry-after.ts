import { parseHttpDate } from "./http-date.ts";

const MAX_SECONDS = 366 * 86_400;

/**
 * Reads a Retry-After header (RFC 9110, section 10.2.3; fractions of a second are accepted, too). Returns milliseconds
 * from now, at most a year (366 days). Undefined when there is no header, or it is neither seconds nor a date.
 */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  if (/^\d{1,15}(\.\d{1,9})?$/.test(trimmed)) return Math.min(Number(trimmed), MAX_SECONDS) * 1_000;
  const atMs = parseHttpDate(trimmed, nowMs);
  if (atMs === undefined) return undefined;
  return Math.min(Math.max(0, atMs - nowMs), MAX_SECONDS * 1_000);
}
