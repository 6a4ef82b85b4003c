import { ICalendarError } from "./error.ts";
import { type Property, wrong } from "./lines.ts";

/** A component whose properties an import reads. */
export interface Component {
  /** The line of its BEGIN, counted from 1. */
  readonly line: number;
  /** Such as VEVENT. */
  readonly name: string;
  readonly properties: Property[];
  /** STANDARD and DAYLIGHT of a VTIMEZONE. */
  readonly parts: Component[];
}

/** One VCALENDAR of a text. */
export interface CalendarObject {
  readonly events: Component[];
  readonly zones: Component[];
}

interface Scan {
  /** The components that are open, from the outside in. */
  readonly open: Component[];
  readonly objects: CalendarObject[];
}

/**
 * Returns the calendar objects of a text, of which there may be several. Components that an import does not look at, such
 * as alarms, are left out. Throws an ICalendarError if components are not nested as they must be.
 */
export function readComponents(lines: readonly Property[]): CalendarObject[] {
  const scan: Scan = { open: [], objects: [] };
  for (const property of lines) {
    if (property.name === "BEGIN") begin(scan, property);
    else if (property.name === "END") end(scan, property);
    else {
      const inside = scan.open.at(-1);
      if (inside === undefined) throw wrong(property, "is outside VCALENDAR");
      inside.properties.push(property);
    }
  }
  const left = scan.open.at(-1);
  if (left !== undefined)
    throw new ICalendarError(left.line, left.name, `begins ${left.name}, which has no END`);
  if (scan.objects.length === 0) throw new ICalendarError(1, "", "does not begin a VCALENDAR");
  return scan.objects;
}

function begin({ open, objects }: Scan, property: Property): void {
  const name = property.value.toUpperCase();
  const inside = open.at(-1);
  const component = { line: property.line, name, properties: [], parts: [] };
  open.push(component);
  if (inside === undefined) {
    if (name !== "VCALENDAR")
      throw wrong(property, `begins ${name}; the text must have VCALENDARs and nothing else`);
    objects.push({ events: [], zones: [] });
    return;
  }
  if (name === "VEVENT") {
    if (inside.name !== "VCALENDAR")
      throw wrong(property, `begins a VEVENT inside ${inside.name}; it must be directly inside VCALENDAR`);
    objects.at(-1)?.events.push(component);
  } else if (name === "VTIMEZONE" && inside.name === "VCALENDAR") objects.at(-1)?.zones.push(component);
  else if (inside.name === "VTIMEZONE") inside.parts.push(component);
}

function end({ open }: Scan, property: Property): void {
  const name = property.value.toUpperCase();
  const begun = open.pop();
  if (begun?.name !== name)
    throw wrong(property, `ends ${name}, but the component that is open is ${begun?.name ?? "none"}`);
}
