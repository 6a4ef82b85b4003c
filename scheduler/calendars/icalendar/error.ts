/** The error of an iCalendar text that cannot be imported. It names the line, counted from 1. */
export class ICalendarError extends Error {
  override readonly name = "ICalendarError";
  readonly line: number;
  /** What the line says, or the name of the component that begins on it. */
  readonly value: string;

  constructor(line: number, value: string, problem: string) {
    super(`line ${line} ${problem}`);
    this.line = line;
    this.value = value;
  }
}
