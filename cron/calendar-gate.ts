import { type Calendar, isOpen, nextChange, nextOpening } from "./calendar.ts";

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

/** Returns the first instant from `atMs` on, within ten years, at which all calendars are open, or null. */
export function nextOpeningOfAll(calendars: readonly Calendar[], atMs: number): number | null {
  let at = atMs;
  for (let moved = true; moved; ) {
    moved = false;
    for (const calendar of calendars) {
      const opening = nextOpening(calendar, at);
      if (opening === null || opening > atMs + MAX_DEFER_MS) return null;
      if (opening > at) {
        at = opening;
        moved = true;
      }
    }
  }
  return at;
}

/** Tells whether all calendars are open at an instant, and when that next changes (null: not within ten years). */
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
