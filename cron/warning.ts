/** What a warning is about. */
export type WarningCode =
  | "NEVER_FIRES"
  | "DAY_OF_MONTH_OR_WEEKDAY"
  | "STEP_RESTARTS"
  | "MONTH_END_GAP"
  | "TOP_OF_HOUR"
  | "OFFSET_CHANGE"
  | "RETRY_LONGER_THAN_INTERVAL";

/** Something lawful that may not be meant; `field` is a path in the job, `message` a sentence. */
export type Warning = Readonly<{ code: WarningCode; field: string; message: string }>;
