/** How much of a refused value an error message shows, in characters. */
const MAX_SHOWN_CHARS = 64;

/**
 * A schedule, time zone or calendar is refused.
 *
 * - `field` is the path within the parsed object, for example "cron.expression" or "timeZone".
 * - `value` is the refused value: at most 64 characters, with characters that cannot be printed escaped.
 * - `accepted` says which values are accepted.
 * - `message` is one sentence with all of them and the problem.
 */
export class ScheduleError extends Error {
  readonly field: string;
  readonly value: string;
  readonly accepted: string;

  constructor(field: string, value: string, problem: string, accepted: string) {
    const shown = showValue(value);
    super(`${field} "${shown}" ${problem}; accepted: ${accepted}.`);
    this.name = "ScheduleError";
    this.field = field;
    this.value = shown;
    this.accepted = accepted;
  }
}

/** Makes a refused value safe to print: cuts it to 64 characters and writes invisible characters as \u{…}. */
export function showValue(value: string): string {
  const cut = value.length > MAX_SHOWN_CHARS ? `${value.slice(0, MAX_SHOWN_CHARS - 1)}…` : value;
  return cut.replace(/[\p{C}\p{Z}"\\]/gu, (char) => (char === " " ? char : escapeChar(char)));
}

function escapeChar(char: string): string {
  if (char === '"' || char === "\\") return `\\${char}`;
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}
