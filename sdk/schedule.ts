import type { CronDialectJson, DstPolicySchema } from "./gen/easycron/v1/schedule_pb.ts";
import type { DurationInput, InputOf, InstantInput, ScheduleInput } from "./plain-types.ts";

/** How a cron expression is read. */
export interface CronOptions {
  /** The IANA time zone, such as "Europe/Paris". Default "UTC". */
  readonly timeZone?: string | undefined;
  /** Default: WITH_SECONDS for an expression of six fields, STANDARD for any other. */
  readonly dialect?:
    | (CronDialectJson extends `CRON_DIALECT_${infer Name}` ? Exclude<Name, "UNSPECIFIED"> : never)
    | undefined;
  /** What happens on the days on which the clocks change. */
  readonly dstPolicy?: InputOf<typeof DstPolicySchema> | undefined;
}

/**
 * Makes a schedule from a cron expression: `cron("0 9 * * 1-5", "Europe/Paris")`. Six fields begin with the second.
 * The second argument is the time zone, or all options.
 *
 * @example
 * ```ts
 * const weekdays = cron("0 9 * * 1-5", "Europe/Paris");
 * const twiceAMinute = cron("0,30 * * * * *");
 * const onceADay = cron("30 2 * * *", { timeZone: "Europe/Paris", dstPolicy: { gap: "SKIP" } });
 * ```
 */
export function cron(expression: string, options: string | CronOptions = {}): ScheduleInput {
  const { dialect, ...rest } = typeof options === "string" ? { timeZone: options } : options;
  const hasSeconds = typeof expression === "string" && expression.trim().split(/\s+/).length === 6;
  return { cron: { expression, dialect: dialect ?? (hasSeconds ? "WITH_SECONDS" : undefined) }, ...rest };
}

/**
 * Makes a schedule of equal intervals: `every("90s")`, `every(90_000)`. `anchorTime` is the instant they count from.
 *
 * @example
 * ```ts
 * const interval = every("90s", { anchorTime: "2030-01-01T00:00:00Z" });
 * ```
 */
export function every(
  interval: DurationInput,
  options: { readonly anchorTime?: InstantInput } = {},
): ScheduleInput {
  return { rate: { every: interval, ...options } };
}

/**
 * Makes a schedule of one instant: `at(new Date(…))`, `at("2030-01-01T09:00:00Z")`. With a time zone, the text is a
 * local time in it: `at("2027-03-28T02:30:00", "Europe/Paris")`.
 *
 * @example
 * ```ts
 * const instant = at(new Date("2030-01-01T09:00:00Z"));
 * const local = at("2027-03-28T02:30:00", "Europe/Paris");
 * ```
 */
export function at(time: InstantInput, timeZone?: string): ScheduleInput {
  if (timeZone === undefined) return { once: { time } };
  // A Date in place of the local time is refused by name when the schedule is sent.
  return { once: { localTime: time as string }, timeZone };
}

/**
 * Makes a schedule that is due whenever a calendar opens. `timeZone` is that of previews only.
 *
 * @example
 * ```ts
 * const opening = calendarOpens("office-hours");
 * ```
 */
export function calendarOpens(calendar: string, options: { readonly timeZone?: string } = {}): ScheduleInput {
  return { calendarEdge: { calendar, edge: "OPENS" }, ...options };
}

/**
 * Makes a schedule that is due whenever a calendar closes. `timeZone` is that of previews only.
 *
 * @example
 * ```ts
 * const closing = calendarCloses("office-hours");
 * ```
 */
export function calendarCloses(
  calendar: string,
  options: { readonly timeZone?: string } = {},
): ScheduleInput {
  return { calendarEdge: { calendar, edge: "CLOSES" }, ...options };
}
