import type { AttemptTiming } from "./outcome.ts";

/**
 * Writes the timing of an attempt as it is stored: the milliseconds to the head of the answer, and, if a connection was
 * opened, those of DNS, connecting and TLS after commas. What is absent is empty. So a success over a connection that had
 * been open, which is what most attempts are, costs a few bytes: "12", or "12,3,20,41" with a new connection.
 */
export function toTimingText({ isReused, firstByteMs, dnsMs, connectMs, tlsMs }: AttemptTiming): string {
  const first = firstByteMs === undefined ? "" : String(firstByteMs);
  return isReused ? first : `${first},${dnsMs ?? ""},${connectMs ?? ""},${tlsMs ?? ""}`;
}

/** Reads what `toTimingText` has written. */
export function parseTimingText(text: string): AttemptTiming {
  const parts = text.split(",");
  const [firstByteMs, dnsMs, connectMs, tlsMs] = parts.map((part) =>
    part === "" ? undefined : Number(part),
  );
  return {
    isReused: parts.length === 1,
    ...(firstByteMs !== undefined && { firstByteMs }),
    ...(dnsMs !== undefined && { dnsMs }),
    ...(connectMs !== undefined && { connectMs }),
    ...(tlsMs !== undefined && { tlsMs }),
  };
}
