import { toIso } from "../mesh/iso-time.ts";

/**
 * Converts epoch milliseconds to the text that PostgreSQL reads as a timestamptz. The text is exact, whereas
 * `to_timestamp(double)` rounds.
 */
export function toSqlTime(ms: number): string {
  return toIso(ms);
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
  const dot = text.charCodeAt(SECOND_END) === DOT;
  const known = seconds.get(text.slice(0, SECOND_END));
  if (known === undefined || (!dot && text.charCodeAt(SECOND_END) !== PLUS)) return parseSqlTime(text);
  if (!dot) return known;
  const fraction = Number.parseInt(text.slice(SECOND_END + 1, SECOND_END + 4), 10);
  // PostgreSQL leaves the zeros at the end out: ".5" is half a second.
  const digits = text.indexOf("+", SECOND_END) - SECOND_END - 1;
  return known + (digits >= 3 ? fraction : digits === 2 ? fraction * 10 : fraction * 100);
}

// The rows of one statement often have times of the same few seconds.
const REMEMBERED = 64;
const seconds = new Map<string, number>();
/** The length of "2026-11-24 02:00:00". */
const SECOND_END = 19;
const [DOT, PLUS] = [46, 43];

function parseSqlTime(text: string): number {
  // The text is like "2026-11-24 02:00:00.123456+00". Date.parse needs a T, an offset with minutes or Z, and at most
  // milliseconds.
  const end = text.indexOf("+");
  const dot = text.indexOf(".");
  const instant = dot === -1 ? text.slice(0, end) : text.slice(0, Math.min(dot + 4, end));
  const ms = Date.parse(`${instant.replace(" ", "T")}Z`);
  if (end >= SECOND_END && (end === SECOND_END || dot === SECOND_END)) {
    if (seconds.size >= REMEMBERED) seconds.clear();
    seconds.set(text.slice(0, SECOND_END), Math.floor(ms / 1_000) * 1_000);
  }
  return ms;
}
