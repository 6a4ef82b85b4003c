import { ICalendarError } from "./error.ts";
import { type ContentLine, checkProperty, split, wrong } from "./properties.ts";

/** Where an event stands in the text. Lines are counted from 1. */
export interface ScannedEvent {
  /** The line of its BEGIN. */
  readonly line: number;
  /** The line of its DTEND; the line of its BEGIN if it has none. */
  readonly endLine: number;
}

/** What the parser reads. */
export interface ScannedText {
  /** The text, with folded lines joined. Of the events, it has only the properties that an import looks at. */
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
 * Checks the lines of a text before the parser sees it, because the parser is lenient and names no lines.
 *
 * It checks that components are nested correctly, that each event has a start, and that its dates, zones, durations and
 * rules are well-formed. What an import does not look at, such as alarms, is left out of the result. Throws an
 * ICalendarError.
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
    throw wrong(content, `begins ${component}; the text must be one VCALENDAR and nothing else`);
  }
  if (component === "VEVENT") {
    if (inside !== "VCALENDAR")
      throw wrong(content, `begins a VEVENT inside ${inside}; it must be directly inside VCALENDAR`);
    scan.events.push({ line: content.line, endLine: content.line });
    scan.started = false;
  }
  scan.open.push({ line: content.line, text: component });
  if (isKept(scan)) scan.kept.push(`BEGIN:${component}`);
}

function end(scan: Scan, content: ContentLine, component: string): void {
  const begun = scan.open.at(-1);
  if (begun?.text !== component)
    throw wrong(content, `ends ${component}, but the component that is open is ${begun?.text ?? "none"}`);
  if (component === "VEVENT" && !scan.started)
    throw new ICalendarError(begun.line, "VEVENT", "begins an event without DTSTART");
  if (isKept(scan)) scan.kept.push(`END:${component}`);
  scan.open.pop();
}

function readProperty(scan: Scan, content: ContentLine): void {
  const inside = scan.open.at(-1)?.text;
  if (inside === undefined) throw wrong(content, "is outside VCALENDAR");
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

/** Whether the open component is the calendar, one of its events, or a part of one of its time zones. */
function isKept({ open }: Scan): boolean {
  const [, second] = open;
  if (second === undefined || second.text === "VTIMEZONE") return true;
  return second.text === "VEVENT" && open.length === 2;
}

/** Joins folded lines (RFC 5545): a line that begins with white space continues the line before it. */
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
