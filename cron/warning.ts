/** The kind of a warning. */
export type WarningCode =
  | "NEVER_FIRES"
  | "DAY_OF_MONTH_OR_WEEKDAY"
  | "STEP_RESTARTS"
  | "MONTH_END_GAP"
  | "TOP_OF_HOUR"
  | "OFFSET_CHANGE"
  | "RETRY_LONGER_THAN_INTERVAL"
  | "TIME_ZONE_FIXED_OFFSET"
  | "TIME_ZONE_RENAMED";

/**
 * A valid specification that may not do what its author intends. `field` is a path in the job, `message` a text for
 * people.
 */
export type Warning = Readonly<{ code: WarningCode; field: string; message: string }>;
