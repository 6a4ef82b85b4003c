/**
 * A parsed cron expression as bit sets, ready to be evaluated; made by `parseCron` only.
 *
 * Sets hold member n as bit n; sets of sixty are two integers of thirty. Days follow POSIX: with both day fields
 * restricted a day matches when either does.
 */
export type CronFields = Readonly<{
  /** The expression as given, trimmed and with its runs of blanks made single spaces. */
  expression: string;
  secondsLow: number;
  secondsHigh: number;
  minutesLow: number;
  minutesHigh: number;
  /** Bits 0 to 23. */
  hours: number;
  /** Bits 1 to 31. */
  daysOfMonth: number;
  /** Bit n: the n-th day before the last of the month (`L` is 0, `L-3` is 3). */
  daysBeforeLast: number;
  /** Bit n: the weekday nearest to day n (`15W`). */
  nearestWeekdays: number;
  /** `LW`: the last day of the month from Monday to Friday. */
  lastWorkday: boolean;
  /** Bits 1 to 12. */
  months: number;
  /** Bits 0 (Sunday) to 6. */
  daysOfWeek: number;
  /** `5#3`: the list of [day of week, which one in the month]. */
  nthDaysOfWeek: ReadonlyArray<readonly [dayOfWeek: number, nth: number]>;
  /** `5L`: bits 0 to 6, the last such day of the month. */
  lastDaysOfWeek: number;
  /** False for `*` and `?` alone. */
  dayOfMonthRestricted: boolean;
  /** False for `*` and `?` alone. */
  dayOfWeekRestricted: boolean;
  /** Follows elapsed time across offset changes instead of firing once per local time. */
  rhythm: boolean;
}>;
