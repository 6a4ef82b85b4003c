import { ICalendarError } from "./error.ts";

/** A property of a component: one line of the text, after folded lines have been joined. */
export interface Property {
  /** Counted from 1. Of lines that were joined, the first. */
  readonly line: number;
  /** The whole line. */
  readonly text: string;
  /** In upper case. */
  readonly name: string;
  /** By name in upper case, without quotes. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Without white space at its ends. */
  readonly value: string;
}

const LINE = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^";:])*)*):(.*)$/s;
const PARAMETER = /;([\w-]+)=((?:"[^"]*"|[^";])*)/g;

/**
 * Splits a text into its lines. Joins folded lines (RFC 5545): a line that begins with white space continues the line
 * before it. Empty lines and a byte order mark are passed over. Throws an ICalendarError.
 */
export function readLines(text: string): Property[] {
  const lines: { line: number; text: string }[] = [];
  const written = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  for (const [index, raw] of written.entries()) {
    const last = lines.at(-1);
    if (/^[ \t]/.test(raw) && last !== undefined) last.text += raw.slice(1);
    else if (raw !== "") lines.push({ line: index + 1, text: raw });
  }
  return lines.map(({ line, text }) => split(line, text));
}

function split(line: number, text: string): Property {
  const match = LINE.exec(text);
  if (match === null) throw new ICalendarError(line, text, "is not of the form NAME;PARAMETER=VALUE:VALUE");
  const [, name = "", given = "", value = ""] = match;
  const parameters = new Map<string, string>();
  for (const [, key = "", quoted = ""] of given.matchAll(PARAMETER)) {
    const upper = key.toUpperCase();
    if (!parameters.has(upper)) parameters.set(upper, quoted.replaceAll('"', ""));
  }
  return { line, text, name: name.toUpperCase(), parameters, value: value.trim() };
}

/** Returns the error of a line. `problem` continues a sentence that begins with "line 4". */
export function wrong({ line, text }: Property, problem: string): ICalendarError {
  return new ICalendarError(line, text, problem);
}

/** Returns a value in quotes, shortened to 40 characters. */
export function shown(value: string): string {
  return `"${value.length > 40 ? `${value.slice(0, 39)}…` : value}"`;
}

/** Reads a value of the type TEXT, in which a backslash stands before `,`, `;` and itself. */
export function readText(value: string): string {
  return value.replace(/\\([\\,;nN])/g, (_, character: string) => (/n/i.test(character) ? "\n" : character));
}
