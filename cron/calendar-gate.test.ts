import { expect, test } from "vitest";
import { type CalendarGate, checkAll, passGates } from "./calendar-gate.ts";
import { parseCalendar } from "./calendar-spec.ts";

function gate(
  name: string,
  day: string,
  start: string,
  end: string,
  outside: "SKIP" | "DEFER",
): CalendarGate {
  const calendar = parseCalendar({
    timeZone: "UTC",
    windows: [{ days: [day], start, end }],
    excludedDates: [],
  });
  return { name, calendar, outside };
}

const MONDAY_NOON = Date.parse("2026-06-01T12:00:00Z");

test("lets a fire time through if all calendars are open, or there are none", () => {
  expect(passGates([], MONDAY_NOON)).toEqual({ kind: "OPEN" });
  expect(passGates([gate("a", "MONDAY", "09:00", "17:00", "SKIP")], MONDAY_NOON)).toEqual({ kind: "OPEN" });
});

test("skips if any closed calendar says so, and names it", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "SUNDAY", "09:00", "17:00", "SKIP"),
  ];
  expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "SKIPPED", calendar: "b" });
});

test("defers to the next opening of all calendars together", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "TUESDAY", "11:00", "12:00", "DEFER"),
  ];
  const untilMs = Date.parse("2026-06-02T11:00:00Z");
  expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "DEFERRED", calendar: "a", untilMs });
  const calendars = gates.map((each) => each.calendar);
  expect(checkAll(calendars, MONDAY_NOON)).toEqual({ open: false, changeMs: untilMs });
  expect(checkAll(calendars, untilMs)).toEqual({ open: true, changeMs: Date.parse("2026-06-02T12:00:00Z") });
});

test("skips what could only be deferred for ever, within 10 ms of search", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "FRIDAY", "11:00", "12:00", "DEFER"),
  ];
  const costs = Array.from({ length: 5 }, () => {
    const start = performance.now();
    expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "SKIPPED", calendar: "a" });
    return performance.now() - start;
  });
  expect(Math.min(...costs)).toBeLessThan(10);
});
