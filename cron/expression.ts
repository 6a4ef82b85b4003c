import type { CronFields } from "./cron-fields.ts";
import { ScheduleError } from "./errors.ts";
import { HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { parseDaysOfMonth, parseDaysOfWeek, parseSet, parseSixty, type Sixty } from "./field-set.ts";
import { dayOfDate, weekdayOf } from "./local-time.ts";
import { matchingDays } from "./month-days.ts";

export type { CronFields } from "./cron-fields.ts";

/** How many fields an expression has: five, or six with the seconds first. */
export type CronDialect = "STANDARD" | "WITH_SECONDS";

export type ParseCronOptions = { dialect?: CronDialect; seed?: string };

/** The longest expression that is accepted, in characters. */
export const MAX_EXPRESSION_CHARS = 256;

const MACROS: Readonly<Record<string, string>> = {
  "@YEARLY": "0 0 1 1 *",
  "@ANNUALLY": "0 0 1 1 *",
  "@MONTHLY": "0 0 1 * *",
  "@WEEKLY": "0 0 * * 0",
  "@DAILY": "0 0 * * *",
  "@MIDNIGHT": "0 0 * * *",
  "@HOURLY": "0 * * * *",
};
const FORMS = {
  STANDARD: {
    count: 5,
    accepted: "five fields (minute hour day-of-month month day-of-week)",
    instead: "five fields with the dialect CRON_DIALECT_STANDARD",
  },
  WITH_SECONDS: {
    count: 6,
    accepted: "six fields (second minute hour day-of-month month day-of-week)",
    instead: "six fields with the dialect CRON_DIALECT_WITH_SECONDS",
  },
} as const;
const MACRO_NAMES = Object.keys(MACROS).join(", ").toLowerCase();

const ALL_HOURS = (1 << 24) - 1;
const ALL_THIRTY = (1 << 30) - 1;

/**
 * Parses a cron expression: five fields, or six with the dialect WITH_SECONDS. The dialect is never guessed. Both
 * dialects accept macros (`@daily`), which are due at second 0.
 *
 * `seed` (the job's id) decides which values `H` stands for, and nothing else. The same seed always picks the same
 * values. An impossible date such as 30 February is accepted here; `neverFires` detects it. Throws a ScheduleError of
 * field "cron.expression" for the first mistake. Takes well under 10 ms for any input.
 */
export function parseCron(expression: string, options: ParseCronOptions = {}): CronFields {
  const { dialect = "STANDARD", seed = "" } = options;
  const [second = "", minute = "", hour = "", dayOfMonth = "", month = "", dayOfWeek = ""] = splitFields(
    expression,
    dialect,
  );
  const seconds = parseSixty({ kind: SECOND, text: second, seed, expression });
  const minutes = parseSixty({ kind: MINUTE, text: minute, seed, expression });
  const hours = parseSet({ kind: HOUR, text: hour, seed, expression });
  const days = parseDaysOfMonth(dayOfMonth, seed, expression);
  const months = parseSet({ kind: MONTH, text: month, seed, expression });
  const weekdays = parseDaysOfWeek(dayOfWeek, seed, expression);
  return {
    expression: trimBlanks(expression),
    secondsLow: seconds.low,
    secondsHigh: seconds.high,
    minutesLow: minutes.low,
    minutesHigh: minutes.high,
    hours,
    daysOfMonth: days.daysOfMonth,
    daysBeforeLast: days.daysBeforeLast,
    nearestWeekdays: days.nearestWeekdays,
    lastWorkday: days.lastWorkday,
    months,
    daysOfWeek: weekdays.daysOfWeek,
    nthDaysOfWeek: weekdays.nthDaysOfWeek,
    lastDaysOfWeek: weekdays.lastDaysOfWeek,
    dayOfMonthRestricted: days.dayOfMonthRestricted,
    dayOfWeekRestricted: weekdays.dayOfWeekRestricted,
    periodic: minute.startsWith("*") || hour.startsWith("*") || hours === ALL_HOURS || isFull(minutes),
  };
}

/**
 * Tells whether no date matches, as with "0 0 30 2 *". It checks the whole 400-year cycle of the calendar, so the
 * answer is exact. It ignores time zones: it does not find a time that a zone always skips with the SKIP policy.
 */
export function neverFires(fields: CronFields): boolean {
  for (let year = 2000; year < 2400; year += 1) {
    for (let month = 1; month <= 12; month += 1) {
      if (((fields.months >>> month) & 1) === 0) continue;
      if (matchingDays(fields, year, month, weekdayOf(dayOfDate(year, month, 1))) !== 0) return false;
    }
  }
  return true;
}

/** Returns the texts of all six fields, in upper case and with macros replaced. A missing seconds field is "0". */
function splitFields(expression: string, dialect: CronDialect): string[] {
  const { count, accepted } = FORMS[dialect];
  checkCharacters(expression);
  const text = trimBlanks(expression).toUpperCase();
  if (text === "") refuse(expression, "is empty", `${accepted}, or one of ${MACRO_NAMES}`);
  if (/^(?:CRON_)?TZ=/.test(text)) {
    refuse(expression, "names a time zone", `${accepted}, with the time zone in the field timeZone`);
  }
  const macro = Object.hasOwn(MACROS, text) ? MACROS[text] : undefined;
  if (macro === undefined && text.startsWith("@")) refuse(expression, "is not a known macro", MACRO_NAMES);
  if (macro !== undefined) return ["0", ...macro.split(" ")];
  const fields = text.split(" ");
  if (fields.length !== count) {
    const other = dialect === "STANDARD" ? FORMS.WITH_SECONDS : FORMS.STANDARD;
    const problem = `has ${fields.length} ${fields.length === 1 ? "field" : "fields"}`;
    refuse(
      expression,
      problem,
      fields.length === other.count ? `${accepted}, or ${other.instead}` : accepted,
    );
  }
  return dialect === "STANDARD" ? ["0", ...fields] : fields;
}

function checkCharacters(expression: string): void {
  if (expression.length > MAX_EXPRESSION_CHARS) {
    refuse(expression, `has ${expression.length} characters`, `at most ${MAX_EXPRESSION_CHARS} characters`);
  }
  const strange = /[^\t\x20-\x7e]/u.exec(expression)?.[0];
  if (strange === undefined) return;
  const code = (strange.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  refuse(
    expression,
    `contains the character U+${code}`,
    "ASCII letters, digits, spaces, tabs and * , - / ? # @ ( )",
  );
}

/** Removes blanks at both ends and makes each run of inner blanks one space. Only ASCII space and tab are blanks. */
function trimBlanks(expression: string): string {
  return expression.replace(/[ \t]+/g, " ").replace(/^ | $/g, "");
}

function isFull(set: Sixty): boolean {
  return set.low === ALL_THIRTY && set.high === ALL_THIRTY;
}

function refuse(expression: string, problem: string, accepted: string): never {
  throw new ScheduleError("cron.expression", expression, problem, accepted);
}
