/** How often a period of a recurrence rule begins, before its interval. */
export type Frequency = "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY";

/** A day of the week in a rule. Sunday is 0. */
export interface RuleWeekday {
  readonly weekday: number;
  /** Which one of the month or the year: 1 is the first, -1 the last. 0 means each. */
  readonly ordinal: number;
}

/**
 * A recurrence rule of RFC 5545 (3.3.10). An empty set means that the rule does not have this part. Negative numbers
 * count from the end: month day -1 is the last day of a month.
 */
export interface RecurrenceRule {
  readonly frequency: Frequency;
  /** From 1 on. */
  readonly interval: number;
  /** How many times it recurs. Infinity if the rule does not limit this. */
  readonly count: number;
  /** The last local second at which it may recur, inclusive. Infinity if the rule does not limit this. */
  readonly until: number;
  /** 1 to 12. */
  readonly months: ReadonlySet<number>;
  /** Numbers of ISO weeks that begin on `weekStart`: 1 to 53, or -1 to -53. */
  readonly weeks: ReadonlySet<number>;
  /** 1 to 366, or -1 to -366. */
  readonly yearDays: ReadonlySet<number>;
  /** 1 to 31, or -1 to -31. */
  readonly monthDays: ReadonlySet<number>;
  readonly weekdays: readonly RuleWeekday[];
  readonly hours: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly seconds: ReadonlySet<number>;
  /** Which occurrences of each period remain: 1 is the first, -1 the last. */
  readonly positions: ReadonlySet<number>;
  /** The first day of a week. Sunday is 0. */
  readonly weekStart: number;
}
