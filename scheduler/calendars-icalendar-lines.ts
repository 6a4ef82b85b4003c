import ICAL from "ical.js";
import { ScheduleError } from "../cron/errors.ts";
import { canonicalZone } from "../cron/zone.ts";

/** What of an iCalendar text is wrong, and on which of its lines, counted from 1. */
export class ICalendarError extends Error {
  override readonly name = "ICalendarError";
  readonly line: number;
  readonly value: string;

  constructor(line: number, value: string, problem: string) {
    super(`line ${line} ${problem}`);
    this.line = line;
    this.value = value;
  }
}

/** Where the events of a text begin, in its order. */
export interface ScannedText {
  readonly eventLines: readonly number[];
}

interface ContentLine {
  readonly line: number;
  readonly text: string;
}

const DATE = /^(\d{4})(\d{2})(\d{2})(?:T([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)Z?)?$/;
const FREQUENCIES = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];
const DATE_PROPERTIES = new Set(["DTSTART", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID"]);

/**
 * Checks the lines of a text, because the parser is lenient and names no line: components are nested rightly, each
 * event has a start, and its dates, zones, durations and rules are well-formed. Throws an ICalendarError.
 */
export function scanLines(text: string): ScannedText {
  const lines = unfold(text);
  const zones = zonesOf(lines);
  const open: ContentLine[] = [];
  const eventLines: number[] = [];
  let calendars = 0;
  let started = true;
  for (const content of lines) {
    const { name, parameters, value } = split(content);
    const inside = open.at(-1)?.text.toUpperCase();
    if (name === "BEGIN") {
      if (open.length === 0 && (value.toUpperCase() !== "VCALENDAR" || calendars++ > 0)) {
        throw wrong(content, "begins something else than the one VCALENDAR of the text");
      }
      open.push({ line: content.line, text: value });
      if (value.toUpperCase() === "VEVENT") {
        eventLines.push(content.line);
        started = false;
      }
    } else if (name === "END") {
      if (inside !== value.toUpperCase())
        throw wrong(content, `ends what is not open; open is ${inside ?? "nothing"}`);
      const begun = open.pop();
      if (inside === "VEVENT" && !started)
        throw new ICalendarError(begun?.line ?? content.line, "VEVENT", "begins an event without DTSTART");
    } else {
      if (inside === undefined) throw wrong(content, "stands outside of VCALENDAR");
      if (inside !== "VEVENT") continue;
      checkProperty(content, name, value, zones, parameters);
      if (name === "DTSTART") started = true;
    }
  }
  const left = open.at(-1);
  if (left !== undefined)
    throw new ICalendarError(left.line, left.text, `begins ${left.text}, which has no END`);
  if (calendars === 0) throw new ICalendarError(1, "", "does not begin a VCALENDAR");
  return { eventLines };
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

function split(content: ContentLine): { name: string; parameters: string; value: string } {
  const match = /^([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:])*)*):(.*)$/s.exec(content.text);
  if (match === null) throw wrong(content, "is not of the form NAME;PARAMETER=VALUE:VALUE");
  return { name: (match[1] ?? "").toUpperCase(), parameters: match[2] ?? "", value: (match[3] ?? "").trim() };
}

function zonesOf(lines: readonly ContentLine[]): Set<string> {
  const zones = new Set<string>();
  for (const { text } of lines) {
    const match = /^TZID(?:;[^:]*)?:(.*)$/i.exec(text);
    if (match?.[1] !== undefined) zones.add(match[1].trim());
  }
  return zones;
}

function checkProperty(
  content: ContentLine,
  name: string,
  value: string,
  zones: ReadonlySet<string>,
  parameters: string,
): void {
  if (DATE_PROPERTIES.has(name)) {
    for (const date of value.split(",")) checkDate(content, name, date.split("/")[0] ?? "");
    const zone = /;TZID=(?:"([^"]*)"|([^;]*))/i.exec(parameters);
    if (zone !== null) checkZone(content, zone[1] ?? zone[2] ?? "", zones);
  }
  if (name === "DURATION") attempt(content, "is no duration", () => ICAL.Duration.fromString(value));
  if (name !== "RRULE") return;
  const frequency = /(?:^|;)FREQ=([^;]*)/i.exec(value)?.[1]?.toUpperCase() ?? "";
  if (!FREQUENCIES.includes(frequency)) {
    throw wrong(
      content,
      `has the frequency "${frequency.slice(0, 20)}"; accepted: ${FREQUENCIES.join(", ")}`,
    );
  }
  attempt(content, "is no recurrence rule", () => ICAL.Recur.fromString(value));
}

function checkDate(content: ContentLine, name: string, text: string): void {
  const match = DATE.exec(text);
  const [year, month, day] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  const date = new Date(Date.UTC(year, month - 1, day));
  if (match === null || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || year < 1900) {
    const forms = "20261225, 20261225T090000 or 20261225T090000Z, from 1900 on";
    throw wrong(content, `has "${text.slice(0, 40)}" for ${name}; accepted: ${forms}`);
  }
}

function checkZone(content: ContentLine, zone: string, zones: ReadonlySet<string>): void {
  if (zones.has(zone) || isIanaZone(zone)) return;
  throw wrong(
    content,
    `names the zone "${zone.slice(0, 40)}", which is no IANA zone and has no VTIMEZONE here`,
  );
}

/** Whether a name is that of a zone in the IANA database, exactly. */
export function isIanaZone(name: string): boolean {
  try {
    canonicalZone(name);
    return true;
  } catch (error) {
    if (error instanceof ScheduleError) return false;
    throw error;
  }
}

function attempt(content: ContentLine, problem: string, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    throw wrong(content, `${problem}: ${error instanceof Error ? error.message.slice(0, 80) : "unreadable"}`);
  }
}

function wrong(content: ContentLine, problem: string): ICalendarError {
  return new ICalendarError(content.line, content.text, problem);
}
