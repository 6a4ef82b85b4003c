import type { CalendarSpec } from "../calendar-spec.ts";
import { MARGIN_MINUTES, type WallClock } from "./wall-clock.ts";

const DAYS = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

/** Tells for each minute of a wall clock whether a calendar is open. */
export function openMinutes(
  clock: WallClock,
  { windows, excludedDates }: Pick<CalendarSpec, "windows" | "excludedDates">,
): boolean[] {
  return Array.from(clock.local, (wall) => {
    const { date, time, today, yesterday } = describeMinute(wall);
    if (excludedDates.includes(date) || excludedDates.includes(`-${date.slice(4)}`)) return false;
    if (windows.length === 0) return true;
    return windows.some(({ days, start, end }) =>
      start < end
        ? days.includes(today) && time >= start && time < end
        : (days.includes(today) && time >= start) || (days.includes(yesterday) && time < end),
    );
  });
}

/** Walks through the minutes of a wall clock. Tells whether the calendar is open at the first, and when it changes. */
export function walkCalendar(
  clock: WallClock,
  spec: Pick<CalendarSpec, "windows" | "excludedDates">,
): { open: boolean; changes: number[] } {
  const states = openMinutes(clock, spec);
  const changes: number[] = [];
  for (let minute = MARGIN_MINUTES + 1; minute < states.length - MARGIN_MINUTES; minute += 1) {
    if (states[minute] !== states[minute - 1]) changes.push(clock.startMs + minute * 60_000);
  }
  return { open: states[MARGIN_MINUTES] === true, changes };
}

type Minute = { date: string; time: string; today: string; yesterday: string };
const minutes = new Map<number, Minute>();

function describeMinute(wall: number): Minute {
  const known = minutes.get(wall);
  if (known !== undefined) return known;
  const text = new Date(wall * 60_000).toISOString();
  const today = DAYS[new Date(wall * 60_000).getUTCDay()] ?? "";
  const yesterday = DAYS[new Date(wall * 60_000 - 86_400_000).getUTCDay()] ?? "";
  const minute = { date: text.slice(0, 10), time: text.slice(11, 16), today, yesterday };
  minutes.set(wall, minute);
  return minute;
}
