/**
 * A parsed cron expression as bit sets. Only `parseCron` makes one.
 *
 * Bit n is set if the value n is in the set. A set of sixty values is two integers of thirty. Days follow POSIX: if
 * both day fields are restricted, a day matches when one of them matches.
 */
export type CronFields = Readonly<{
  /** The expression as given, trimmed and with single spaces. */
  expression: string;
  secondsLow: number;
  secondsHigh: number;
  minutesLow: number;
  minutesHigh: number;
  /** Bits 0 to 23. */
  hours: number;
  /** Bits 1 to 31. */
  daysOfMonth: number;
  /** Bit n: the day that is n days before the last day of the month (`L` is 0, `L-3` is 3). */
  daysBeforeLast: number;
  /** Bit n: the weekday (Monday to Friday) nearest to day n (`15W`). */
  nearestWeekdays: number;
  /** `LW`: the last day of the month from Monday to Friday. */
  lastWorkday: boolean;
  /** Bits 1 to 12. */
  months: number;
  /** Bits 0 (Sunday) to 6. */
  daysOfWeek: number;
  /** `5#3`: pairs of a day of the week and which one of the month. */
  nthDaysOfWeek: ReadonlyArray<readonly [dayOfWeek: number, nth: number]>;
  /** `5L`: bits 0 to 6, the last such day of the week in the month. */
  lastDaysOfWeek: number;
  /** False if the field is `*` or `?`. */
  dayOfMonthRestricted: boolean;
  /** False if the field is `*` or `?`. */
  dayOfWeekRestricted: boolean;
  /**
   * The schedule is periodic, such as every 15 minutes: both passes of a repeated hour count, and times in a skipped
   * hour do not. Otherwise it fires once for each local time.
   */
  periodic: boolean;
}>;
