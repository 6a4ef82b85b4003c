import { ICalendarError } from "./error.ts";
import { type ContentLine, checkProperty, split, wrong } from "./properties.ts";

/** An event of a text: the lines, counted from 1, on which it begins and on which its end stands. */
export interface ScannedEvent {
  readonly line: number;
  /** That of DTEND; of the event itself without one. */
  readonly endLine: number;
}

/** What the parser is to read. */
export interface ScannedText {
  /** The text with its lines joined, and of the events only what an import looks at. */
  readonly text: string;
  /** In the order of the text. */
  readonly events: readonly ScannedEvent[];
}

interface Scan {
  readonly zones: ReadonlySet<string>;
  readonly open: ContentLine[];
  readonly kept: string[];
  readonly events: { line: number; endLine: number }[];
  calendars: number;
  started: boolean;
}

/**
 * Checks the lines of a text, because the parser is lenient and names no line: components are nested rightly, each
 * event has a start, and its dates, zones, durations and rules are well-formed. What an import does not look at, such
 * as alarms, is left out of the result. Throws an ICalendarError.
 */
export function scanLines(text: string): ScannedText {
  const lines = unfold(text.replace(/^\ufeff/, ""));
  const scan: Scan = {
    zones: zonesOf(lines),
    open: [],
    kept: [],
    events: [],
    calendars: 0,
    started: true,
  };
  for (const content of lines) {
    const { name, value } = split(content);
    if (name === "BEGIN") begin(scan, content, value.toUpperCase());
    else if (name === "END") end(scan, content, value.toUpperCase());
    else readProperty(scan, content);
  }
  const left = scan.open.at(-1);
  if (left !== undefined)
    throw new ICalendarError(left.line, left.text, `begins ${left.text}, which has no END`);
  if (scan.calendars === 0) throw new ICalendarError(1, "", "does not begin a VCALENDAR");
  return { text: scan.kept.join("\r\n"), events: scan.events };
}

function begin(scan: Scan, content: ContentLine, component: string): void {
  const inside = scan.open.at(-1)?.text;
  if (inside === undefined && (component !== "VCALENDAR" || scan.calendars++ > 0)) {
    throw wrong(content, "begins something else than the one VCALENDAR of the text");
  }
  if (component === "VEVENT") {
    if (inside !== "VCALENDAR") throw wrong(content, `begins an event within ${inside}`);
    scan.events.push({ line: content.line, endLine: content.line });
    scan.started = false;
  }
  scan.open.push({ line: content.line, text: component });
  if (isKept(scan)) scan.kept.push(`BEGIN:${component}`);
}

function end(scan: Scan, content: ContentLine, component: string): void {
  const begun = scan.open.at(-1);
  if (begun?.text !== component)
    throw wrong(content, `ends what is not open; open is ${begun?.text ?? "nothing"}`);
  if (component === "VEVENT" && !scan.started)
    throw new ICalendarError(begun.line, "VEVENT", "begins an event without DTSTART");
  if (isKept(scan)) scan.kept.push(`END:${component}`);
  scan.open.pop();
}

function readProperty(scan: Scan, content: ContentLine): void {
  const inside = scan.open.at(-1)?.text;
  if (inside === undefined) throw wrong(content, "stands outside of VCALENDAR");
  if (inside !== "VEVENT") {
    if (scan.open[1]?.text === "VTIMEZONE") scan.kept.push(content.text);
    return;
  }
  const { name } = split(content);
  const kept = checkProperty(content, scan.zones);
  if (kept !== undefined) scan.kept.push(kept);
  const event = scan.events.at(-1);
  if (name === "DTSTART") scan.started = true;
  if (name === "DTEND" && event !== undefined) event.endLine = content.line;
}

/** Whether what is open now is the calendar, one of its events, or of its zones. */
function isKept({ open }: Scan): boolean {
  const [, second] = open;
  if (second === undefined || second.text === "VTIMEZONE") return true;
  return second.text === "VEVENT" && open.length === 2;
}

/** Joins lines that RFC 5545 has folded: one that begins with white space goes on from the one before. */
function unfold(text: string): ContentLine[] {
  const lines: { line: number; text: string }[] = [];
  for (const [index, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const last = lines.at(-1);
    if (/^[ \t]/.test(raw) && last !== undefined) last.text += raw.slice(1);
    else if (raw !== "") lines.push({ line: index + 1, text: raw });
  }
  return lines;
}

function zonesOf(lines: readonly ContentLine[]): Set<string> {
  const zones = new Set<string>();
  for (const { text } of lines) {
    const match = /^TZID(?:;[^:]*)?:(.*)$/i.exec(text);
    if (match?.[1] !== undefined) zones.add(match[1].trim());
  }
  return zones;
}
