/**
 * An instant as PostgreSQL reads it into a timestamptz. Times cross this border as epoch milliseconds; a string is
 * used on the wire because it is exact, where `to_timestamp(double)` rounds.
 */
export function toSqlTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** As `toSqlTime`, with null for what has no time. */
export function toSqlTimeOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : toSqlTime(ms);
}

/** Reads PostgreSQL's text form of a timestamptz (session time zone UTC) as epoch milliseconds. */
export function fromSqlTime(text: string): number {
  // "2026-11-24 02:00:00.123456+00": Date.parse wants a T, minutes in the offset, and at most milliseconds.
  const end = text.indexOf("+");
  const dot = text.indexOf(".");
  const instant = dot === -1 ? text.slice(0, end) : text.slice(0, Math.min(dot + 4, end));
  return Date.parse(`${instant.replace(" ", "T")}Z`);
}
