import { ScheduleError } from "../../../cron/errors.ts";
import { canonicalZone } from "../../../cron/zone.ts";
import { ICalendarError } from "./error.ts";
import { checkRule } from "./rule.ts";

/** A line of a text, after folded lines have been joined. */
export interface ContentLine {
  /** Counted from 1. Of lines that were joined, the first. */
  readonly line: number;
  readonly text: string;
}

interface Property {
  readonly name: string;
  readonly parameters: string;
  readonly value: string;
}

const DATE = /^(\d{4})(\d{2})(\d{2})(?:T([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)Z?)?$/;
const DURATION =
  /^\+?P(?=\d|T\d)(?:\d{1,6}W)?(?:\d{1,6}D)?(?:T(?=\d)(?:\d{1,6}H)?(?:\d{1,6}M)?(?:\d{1,9}S)?)?$/;
const SINGLE_DATES = new Set(["DTSTART", "DTEND", "RECURRENCE-ID"]);
const DATE_LISTS = new Set(["EXDATE", "RDATE"]);
const NOT_CHECKED = new Set(["UID", "STATUS"]);

/** Splits a line into name, parameters and value. The name is in upper case. Throws an ICalendarError. */
export function split(content: ContentLine): Property {
  const match = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^";:])*)*):(.*)$/s.exec(content.text);
  if (match === null) throw wrong(content, "is not of the form NAME;PARAMETER=VALUE:VALUE");
  return { name: (match[1] ?? "").toUpperCase(), parameters: match[2] ?? "", value: (match[3] ?? "").trim() };
}

/**
 * Checks a property of an event. Returns the line for the parser, or undefined if an import does not look at this
 * property. Throws an ICalendarError.
 */
export function checkProperty(content: ContentLine, zones: ReadonlySet<string>): string | undefined {
  const { name, parameters, value } = split(content);
  if (SINGLE_DATES.has(name) || DATE_LISTS.has(name)) return checkDates(content, zones);
  if (name === "DURATION") {
    if (!DURATION.test(value)) throw wrong(content, `has ${shown(value)}; ${ACCEPTED_DURATION}`);
    return `DURATION:${value}`;
  }
  if (name === "EXRULE")
    throw wrong(content, "has EXRULE, which is not supported; list the dates in EXDATE instead");
  if (name === "RRULE") {
    const problem = checkRule(value);
    if (problem !== undefined) throw wrong(content, problem);
    return `RRULE:${value.toUpperCase()}`;
  }
  return NOT_CHECKED.has(name) ? `${name}${parameters}:${value}` : undefined;
}

const ACCEPTED_DURATION = "accepted: a duration such as PT1H30M or P2D, not negative";
const ACCEPTED_DATE = "accepted: 20261225, 20261225T090000 or 20261225T090000Z, from 1900 on";

function checkDates(content: ContentLine, zones: ReadonlySet<string>): string {
  const { name, parameters, value } = split(content);
  const dates = DATE_LISTS.has(name) ? value.split(",") : [value];
  const type = parameterOf(parameters, "VALUE")?.toUpperCase();
  const zone = parameterOf(parameters, "TZID");
  if (zone !== undefined) checkZone(content, zone, zones);
  const rest = parameters.replace(/;VALUE=(?:"[^"]*"|[^;]*)/gi, "");
  if (type === "PERIOD" && name === "RDATE") {
    for (const period of dates) checkPeriod(content, period);
    return `${name}${rest};VALUE=PERIOD:${value}`;
  }
  for (const date of dates) checkDate(content, name, date);
  const timed = dates.filter((date) => date.includes("T")).length;
  if (timed !== 0 && (timed !== dates.length || type === "DATE"))
    throw wrong(content, `mixes dates with and without a time of day; ${ACCEPTED_DATE}`);
  return `${name}${rest}${timed === 0 ? ";VALUE=DATE" : ""}:${value}`;
}

function checkPeriod(content: ContentLine, period: string): void {
  const [start = "", end = "", ...more] = period.split("/");
  const endIsRight = DURATION.test(end) || (isDate(end) && end.includes("T"));
  if (more.length > 0 || !isDate(start) || !start.includes("T") || !endIsRight)
    throw wrong(
      content,
      `has the period ${shown(period)}; accepted: 20261225T090000Z/20261225T170000Z or 20261225T090000Z/PT8H`,
    );
  if (!DURATION.test(end) && start.endsWith("Z") === end.endsWith("Z") && end < start)
    throw wrong(content, `has the period ${shown(period)}, which ends before it starts`);
}

function checkDate(content: ContentLine, name: string, text: string): void {
  if (!isDate(text)) throw wrong(content, `has ${shown(text)} for ${name}; ${ACCEPTED_DATE}`);
}

function isDate(text: string): boolean {
  const match = DATE.exec(text);
  const [year, month, day] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  const date = new Date(Date.UTC(year, month - 1, day));
  return match !== null && date.getUTCMonth() === month - 1 && date.getUTCDate() === day && year >= 1900;
}

function parameterOf(parameters: string, name: string): string | undefined {
  const match = new RegExp(`;${name}=(?:"([^"]*)"|([^;]*))`, "i").exec(parameters);
  return match === null ? undefined : (match[1] ?? match[2] ?? "");
}

function checkZone(content: ContentLine, zone: string, zones: ReadonlySet<string>): void {
  if (zones.has(zone) || isIanaZone(zone)) return;
  throw wrong(content, `names the unknown zone ${shown(zone)}; use an IANA name, or add a VTIMEZONE for it`);
}

/** Whether a name is exactly the name of a zone in the IANA database. */
export function isIanaZone(name: string): boolean {
  try {
    canonicalZone(name);
    return true;
  } catch (error) {
    if (error instanceof ScheduleError) return false;
    throw error;
  }
}

function shown(value: string): string {
  return `"${value.length > 40 ? `${value.slice(0, 39)}…` : value}"`;
}

/** Returns the error of a line. */
export function wrong(content: ContentLine, problem: string): ICalendarError {
  return new ICalendarError(content.line, content.text, problem);
}
