import { type Calendar, isOpen, nextChange } from "./calendar.ts";
import { nextCommonOpening } from "./calendar-search.ts";
import { knownSecond, LAST_SECOND } from "./zone-offsets.ts";

/** A calendar that a job uses, and what to do with a fire time at which it is closed. */
export type CalendarGate = Readonly<{ name: string; calendar: Calendar; outside: "SKIP" | "DEFER" }>;

/**
 * What the calendars of a job decide about one fire time. `calendar` is the name of the first closed calendar that
 * says SKIP, or, if none does, of the first closed calendar.
 */
export type GateVerdict =
  | { kind: "OPEN" }
  | { kind: "SKIPPED"; calendar: string }
  | { kind: "DEFERRED"; calendar: string; untilMs: number };

/** How far ahead an opening is searched for: ten years. */
export const MAX_DEFER_MS = 3_653 * 86_400_000;

/**
 * Decides what to do with a fire time:
 *
 * 1. OPEN if all calendars are open.
 * 2. SKIPPED if a closed calendar says SKIP.
 * 3. DEFERRED to the next instant at which all calendars are open.
 * 4. SKIPPED if there is no such instant within ten years.
 *
 * Fire times that are deferred to the same instant fire once; the caller takes care of that.
 */
export function passGates(gates: readonly CalendarGate[], atMs: number): GateVerdict {
  const closed = gates.filter((gate) => !isOpen(gate.calendar, atMs));
  const [first] = closed;
  if (first === undefined) return { kind: "OPEN" };
  const skipping = closed.find((gate) => gate.outside === "SKIP");
  if (skipping !== undefined) return { kind: "SKIPPED", calendar: skipping.name };
  const untilMs = nextOpeningOfAll(
    gates.map((gate) => gate.calendar),
    atMs,
  );
  return untilMs === null
    ? { kind: "SKIPPED", calendar: first.name }
    : { kind: "DEFERRED", calendar: first.name, untilMs };
}

/**
 * The result of the last search for some calendars: from second `from` to before `until` they are not all open. If
 * `opens`, all of them are open at `until`; otherwise the search ended there.
 */
type ClosedPeriod = Readonly<{ from: number; until: number; opens: boolean }>;

// A job that fires every second asks the same question every second. An entry takes 200 bytes with its key.
const MAX_CLOSED_PERIODS = 10_000;
// The search goes this far beyond the ten years, so that a later question seldom needs a new search.
const AHEAD_SECONDS = 30 * 86_400;
const closedPeriods = new Map<string, ClosedPeriod>();
const numbers = new WeakMap<Calendar, number>();
let lastNumber = 0;

/** Returns the first instant from `atMs` on, within ten years, at which all calendars are open, or null. */
export function nextOpeningOfAll(calendars: readonly Calendar[], atMs: number): number | null {
  if (calendars.every((calendar) => isOpen(calendar, atMs))) return atMs;
  const second = knownSecond(atMs);
  const end = Math.min(Math.floor((atMs + MAX_DEFER_MS) / 1000), LAST_SECOND) + 1;
  const key = calendars.map(numberOf).join();
  const known = closedPeriods.get(key);
  const inside = known !== undefined && known.from <= second && second < known.until ? known : undefined;
  if (inside?.opens === true) return inside.until < end ? inside.until * 1000 : null;
  const [from, searched] = inside === undefined ? [second, second] : [inside.from, inside.until];
  if (searched >= end) return null;
  const reach = Math.min(end + AHEAD_SECONDS, LAST_SECOND + 1);
  const opening = nextCommonOpening(calendars, searched, reach);
  keep(key, { from, until: opening ?? reach, opens: opening !== null });
  return opening === null || opening >= end ? null : opening * 1000;
}

/** Returns a number for each calendar object. Its identity is enough, because a calendar never changes. */
function numberOf(calendar: Calendar): number {
  const known = numbers.get(calendar);
  if (known !== undefined) return known;
  lastNumber += 1;
  numbers.set(calendar, lastNumber);
  return lastNumber;
}

function keep(key: string, period: ClosedPeriod): void {
  closedPeriods.delete(key);
  closedPeriods.set(key, period);
  if (closedPeriods.size <= MAX_CLOSED_PERIODS) return;
  for (const oldest of closedPeriods.keys()) {
    closedPeriods.delete(oldest);
    return;
  }
}

/**
 * Tells whether all calendars are open at an instant, and when this changes next. `changeMs` is null if it never
 * changes; an opening is searched for within ten years only.
 */
export function checkAll(
  calendars: readonly Calendar[],
  atMs: number,
): { open: boolean; changeMs: number | null } {
  if (!calendars.every((calendar) => isOpen(calendar, atMs))) {
    return { open: false, changeMs: nextOpeningOfAll(calendars, atMs) };
  }
  const changes = calendars.map((calendar) => nextChange(calendar, atMs)).filter((change) => change !== null);
  return { open: true, changeMs: changes.length === 0 ? null : Math.min(...changes) };
}
