/** What of an iCalendar text is wrong, and on which of its lines, counted from 1. */
export class ICalendarError extends Error {
  override readonly name = "ICalendarError";
  readonly line: number;
  readonly value: string;

  constructor(line: number, value: string, problem: string) {
    super(`line ${line} ${problem}`);
    this.line = line;
    this.value = value;
  }
}
