/**
 * Makes a text safe for a sentence, a log line or a header. Control characters and lone surrogates become \uXXXX. A
 * text of more than `maxLength` characters is cut to that length and ends in "…".
 */
export function printable(text: string, maxLength = 100): string {
  // The text is cut before it is escaped, so that a very long value costs nothing.
  const cut = text.length > maxLength;
  const kept = cut ? text.slice(0, maxLength - 1).replace(HALF_PAIR, "") : text;
  const escaped = kept.replace(UNPRINTABLE, toEscape);
  if (!cut && escaped.length <= maxLength) return escaped;
  return `${escaped.slice(0, maxLength - 1).replace(HALF_PAIR, "")}…`;
}

const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029]/gu;
const HALF_PAIR = /[\ud800-\udbff]$/;

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
