import { ScheduleError } from "../../../cron/errors.ts";
import { fitsStart, recurrencesOf } from "../../../cron/recurrence.ts";
import { createZoneOffsets, type ZoneOffsets, zoneOffsets } from "../../../cron/zone-offsets.ts";
import { type Budget, spendSteps } from "./budget.ts";
import type { CalendarObject, Component } from "./components.ts";
import { ICalendarError } from "./error.ts";
import { type Property, readText, shown, wrong } from "./lines.ts";
import { parseRule } from "./rule.ts";
import { ACCEPTED_DATE, parseDate, parseOffset, splitList } from "./values.ts";
import { WINDOWS_ZONES } from "./windows-zones.ts";

/** The zones that the events of one calendar object can name. */
export interface Zones {
  readonly object: CalendarObject;
  /** Returns the zone of a TZID, or undefined if it is unknown. Throws an ICalendarError for a VTIMEZONE that is wrong. */
  find(tzid: string): ZoneOffsets | undefined;
}

/** When a zone changes to an offset, and from which one. Local seconds are on the clock before the change. */
interface Change {
  readonly second: number;
  readonly before: number;
  readonly after: number;
}

/** A change is kept and sorted, which takes ten times as long as to look at a day. */
const STEPS_OF_CHANGE = 10;

/** The last day for which the changes of a VTIMEZONE are computed, in days since 1970, and who counts the work. */
export interface ZoneRange {
  readonly lastDay: number;
  readonly budget: Budget;
}

/**
 * Returns the zones of each calendar object. A TZID means, in this order: the zone of the IANA database, the VTIMEZONE of
 * the same object, the VTIMEZONE of another one, UTC if it is "Z", the zone that Windows calls so, the
 * zone with which it ends if it is globally unique (it begins with a slash).
 */
export function readZones(objects: readonly CalendarObject[], range: ZoneRange): Zones[] {
  const made = new Map<string, ZoneOffsets | undefined>();
  const all = objects.flatMap(({ zones }) => zones);
  return objects.map((object, index) => ({
    object,
    find: (tzid) => {
      const key = `${index} ${tzid}`;
      if (!made.has(key)) made.set(key, ianaZone(tzid) ?? makeNamed([...object.zones, ...all], tzid, range));
      return made.get(key);
    },
  }));
}

/**
 * Returns a function that returns the zone of the only VTIMEZONE of a text, or undefined if there is none or if there are
 * several. The function throws an ICalendarError if this VTIMEZONE is wrong.
 */
export function onlyZone(all: readonly Zones[]): () => ZoneOffsets | undefined {
  const names = new Set(all.flatMap(({ object }) => object.zones.map(tzidOf)));
  const [name, ...more] = names;
  const owner = all.find(({ object }) => object.zones.length > 0);
  return () => (name === undefined || more.length > 0 ? undefined : owner?.find(name));
}

function makeNamed(
  components: readonly Component[],
  tzid: string,
  range: ZoneRange,
): ZoneOffsets | undefined {
  const called = (name: string) => components.find((each) => tzidOf(each) === name);
  const component = called(tzid) ?? called(readText(tzid));
  if (component !== undefined) return makeZone(component, range);
  return ianaZone(tzid === "Z" ? "UTC" : (WINDOWS_ZONES.get(tzid) ?? endOfPath(tzid)));
}

/** Returns the zone at the end of a globally unique TZID: Europe/Berlin of "/example.org/2026/Europe/Berlin". */
function endOfPath(tzid: string): string {
  return /^\/.*?\/([A-Z][A-Za-z_]+(?:\/[A-Z][A-Za-z_-]+){1,2})$/.exec(tzid)?.[1] ?? "";
}

/** A TZID of a VTIMEZONE is TEXT: its commas have backslashes. Those of a parameter have none. */
function tzidOf({ properties }: Component): string {
  return readText(properties.find((each) => each.name === "TZID")?.value ?? "");
}

/** Returns the zone with exactly this name in the IANA database. */
function ianaZone(name: string): ZoneOffsets | undefined {
  try {
    return zoneOffsets(name);
  } catch (error) {
    if (error instanceof ScheduleError) return undefined;
    throw error;
  }
}

function makeZone(component: Component, range: ZoneRange): ZoneOffsets {
  const changes = component.parts
    .flatMap((part) => changesOf(part, range))
    .sort((a, b) => a.second - b.second);
  const [first] = changes;
  if (first === undefined)
    throw new ICalendarError(component.line, "VTIMEZONE", "begins a VTIMEZONE without STANDARD or DAYLIGHT");
  return createZoneOffsets(tzidOf(component), (second) => {
    let [low, high] = [0, changes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((changes[middle]?.second ?? 0) <= second) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? first.before : (changes[low - 1]?.after ?? 0);
  });
}

/** Returns the changes of a STANDARD or DAYLIGHT: at its start, and when its RRULE and RDATE say so. */
function changesOf(part: Component, { lastDay, budget }: ZoneRange): Change[] {
  const { line, name, properties } = part;
  const named = (wanted: string) => {
    const property = properties.find((each) => each.name === wanted);
    if (property === undefined) throw new ICalendarError(line, name, `begins a ${name} without ${wanted}`);
    return property;
  };
  const start = localDate(named("DTSTART"), named("DTSTART").value);
  const [before, after] = [readOffset(named("TZOFFSETFROM")), readOffset(named("TZOFFSETTO"))];
  const locals = new Set([start]);
  for (const property of properties) {
    if (property.name === "RDATE") {
      // A period is read as its start.
      for (const item of splitList(property.value)) locals.add(localDate(property, item.split("/")[0] ?? ""));
    }
    if (property.name !== "RRULE") continue;
    const written = parseRule(property.value);
    if (written === undefined) continue;
    if ("problem" in written) throw wrong(property, written.problem);
    const { until } = written;
    const rule = {
      ...written.rule,
      until: until === undefined ? Number.POSITIVE_INFINITY : until.local + (until.isUtc ? before : 0),
      count: written.rule.count - (fitsStart(written.rule, start) ? 0 : 1),
    };
    const spend = (steps: number) => spendSteps(budget, steps, line, name);
    for (const local of recurrencesOf(rule, start, { fromDay: Number.NEGATIVE_INFINITY, lastDay, spend })) {
      spend(STEPS_OF_CHANGE);
      locals.add(local);
    }
  }
  return [...locals].map((local) => ({ second: local - before, before, after }));
}

function localDate(property: Property, text: string): number {
  const date = parseDate(text);
  if (date === undefined) throw wrong(property, `has ${shown(text)} for ${property.name}; ${ACCEPTED_DATE}`);
  return date.local;
}

function readOffset(property: Property): number {
  const offset = parseOffset(property.value);
  if (offset === undefined)
    throw wrong(property, `has ${shown(property.value)} for ${property.name}; accepted: +0100 or -053000`);
  return offset;
}
