import { type Calendar, isOpen, nextChange } from "./calendar.ts";
import { nextCommonOpening } from "./calendar-search.ts";
import { knownSecond, LAST_SECOND } from "./zone-offsets.ts";

/** A calendar that a job refers to, and what becomes of a fire time outside it. */
export type CalendarGate = Readonly<{ name: string; calendar: Calendar; outside: "SKIP" | "DEFER" }>;

/** What the calendars of a job make of one fire time; `calendar` is the name of the first that is closed. */
export type GateVerdict =
  | { kind: "OPEN" }
  | { kind: "SKIPPED"; calendar: string }
  | { kind: "DEFERRED"; calendar: string; untilMs: number };

/** How far ahead an opening is looked for: ten years. */
export const MAX_DEFER_MS = 3_653 * 86_400_000;

/**
 * Tells what becomes of a fire time: it is OPEN if all calendars are; SKIPPED if one with SKIP is closed; otherwise
 * DEFERRED to the next instant at which all are open, or SKIPPED if that does not come within ten years.
 *
 * Fire times deferred to the same instant are one fire; that is for the caller to see to.
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
 * What the last search for these calendars found: from one second (inclusive) to another (exclusive) some are closed.
 * `opens` tells whether all are open then; otherwise it was searched only so far.
 */
type Stretch = Readonly<{ from: number; until: number; opens: boolean }>;

// A job that fires every second asks the same thing every second. A stretch is 200 bytes with its key.
const MAX_STRETCHES = 10_000;
// Searched beyond the ten years, so that a later question seldom needs a search of its own.
const AHEAD_SECONDS = 30 * 86_400;
const stretches = new Map<string, Stretch>();
const numbers = new WeakMap<Calendar, number>();
let lastNumber = 0;

/** Returns the first instant from `atMs` on, within ten years, at which all calendars are open, or null. */
export function nextOpeningOfAll(calendars: readonly Calendar[], atMs: number): number | null {
  if (calendars.every((calendar) => isOpen(calendar, atMs))) return atMs;
  const second = knownSecond(atMs);
  const end = Math.min(Math.floor((atMs + MAX_DEFER_MS) / 1000), LAST_SECOND) + 1;
  const key = calendars.map(numberOf).join();
  const known = stretches.get(key);
  const inside = known !== undefined && known.from <= second && second < known.until ? known : undefined;
  if (inside?.opens === true) return inside.until < end ? inside.until * 1000 : null;
  const [from, searched] = inside === undefined ? [second, second] : [inside.from, inside.until];
  if (searched >= end) return null;
  const reach = Math.min(end + AHEAD_SECONDS, LAST_SECOND + 1);
  const opening = nextCommonOpening(calendars, searched, reach);
  keep(key, { from, until: opening ?? reach, opens: opening !== null });
  return opening === null || opening >= end ? null : opening * 1000;
}

/** Tells calendars apart; by identity, because none ever changes. */
function numberOf(calendar: Calendar): number {
  const known = numbers.get(calendar);
  if (known !== undefined) return known;
  lastNumber += 1;
  numbers.set(calendar, lastNumber);
  return lastNumber;
}

function keep(key: string, stretch: Stretch): void {
  stretches.delete(key);
  stretches.set(key, stretch);
  if (stretches.size <= MAX_STRETCHES) return;
  for (const oldest of stretches.keys()) {
    stretches.delete(oldest);
    return;
  }
}

/** Tells whether all calendars are open at an instant, and when that next changes, opening within ten years; or null. */
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
