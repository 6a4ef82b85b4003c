/** The longest piece of a refused value that is repeated in an error, in characters. */
const MAX_SHOWN_CHARS = 64;

/**
 * A schedule, zone or calendar that cannot be accepted.
 *
 * `field` is the path relative to the thing being parsed ("cron.expression", "timeZone"), `value` what was
 * given (at most 64 characters, anything but printable characters escaped) and `accepted` what would do.
 * `message` says all three in one sentence.
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

/** Makes a refused value safe to print: at most 64 characters, invisible ones written as \u{…}. */
export function showValue(value: string): string {
  const cut = value.length > MAX_SHOWN_CHARS ? `${value.slice(0, MAX_SHOWN_CHARS - 1)}…` : value;
  return cut.replace(/[\p{C}\p{Z}"\\]/gu, (char) => (char === " " ? char : escapeChar(char)));
}

function escapeChar(char: string): string {
  if (char === '"' || char === "\\") return `\\${char}`;
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}
