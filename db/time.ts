/**
 * Converts epoch milliseconds to the text that PostgreSQL reads as a timestamptz. The text is exact, whereas
 * `to_timestamp(double)` rounds.
 */
export function toSqlTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Like `toSqlTime`, and returns null for null and undefined. */
export function toSqlTimeOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : toSqlTime(ms);
}

/**
 * Converts PostgreSQL's text of a timestamptz (session time zone UTC) to epoch milliseconds. Microseconds are cut
 * off.
 */
export function fromSqlTime(text: string): number {
  // The text is like "2026-11-24 02:00:00.123456+00". Date.parse needs a T, an offset with minutes or Z, and at most
  // milliseconds.
  const end = text.indexOf("+");
  const dot = text.indexOf(".");
  const instant = dot === -1 ? text.slice(0, end) : text.slice(0, Math.min(dot + 4, end));
  return Date.parse(`${instant.replace(" ", "T")}Z`);
}
