import { MAX_WINDOWS, type WindowSpec } from "../calendar-spec.ts";

/** All days of a week. */
export const EVERY_DAY = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

/** As many windows as a calendar may have, each of `minutes`, one every 14 minutes from `shift` minutes past midnight. */
export function manyWindows(days: readonly string[], shift: number, minutes = 1): WindowSpec[] {
  return Array.from({ length: MAX_WINDOWS }, (_, n) => {
    const start = n * 14 + shift;
    return { days, start: timeOf(start), end: timeOf(start + minutes) };
  });
}

/** The date of an instant in UTC. */
export function dateOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

function timeOf(minute: number): string {
  return new Date(minute * 60_000).toISOString().slice(11, 16);
}
