import { MAX_WINDOWS, type WindowSpec } from "../calendar-spec.ts";

/** All days of the week. */
export const EVERY_DAY = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

/** MAX_WINDOWS windows of `minutes` each. One starts every 14 minutes, from `shift` minutes past midnight on. */
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
