import type { Frequency, RecurrenceRule, RuleWeekday } from "../../../cron/recurrence-rule.ts";
import { type DateValue, parseDate, splitList } from "./values.ts";

/** A recurrence rule as it is written. */
export interface WrittenRule {
  /** The rule without its end: `until` is Infinity. */
  readonly rule: RecurrenceRule;
  /** The end of the rule. Which instant it is depends on the start of the event. */
  readonly until: DateValue | undefined;
}

/** What is wrong with a rule, as the rest of a sentence that begins with "line 4". */
export interface RuleProblem {
  readonly problem: string;
}

const FREQUENCIES: readonly Frequency[] = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];
const WEEKDAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
const POSITIVE = /^0*[1-9]\d{0,8}$/;
const RULE_DATE = "20261225 or 20261225T090000Z";

/** The numbers that each list may have: from `least` to `most`, and negative ones if `isSigned`. */
const LISTS: Readonly<Record<string, { least: number; most: number; isSigned: boolean }>> = {
  BYSECOND: { least: 0, most: 60, isSigned: false },
  BYMINUTE: { least: 0, most: 59, isSigned: false },
  BYHOUR: { least: 0, most: 23, isSigned: false },
  BYMONTHDAY: { least: 1, most: 31, isSigned: true },
  BYYEARDAY: { least: 1, most: 366, isSigned: true },
  BYWEEKNO: { least: 1, most: 53, isSigned: true },
  BYMONTH: { least: 1, most: 12, isSigned: false },
  BYSETPOS: { least: 1, most: 366, isSigned: true },
};
const NAMES = ["FREQ", "UNTIL", "COUNT", "INTERVAL", "BYDAY", "WKST", ...Object.keys(LISTS)];

/**
 * Reads a recurrence rule (RRULE). Undefined if it has no part at all: then the event does not recur. Empty items are
 * passed over, such as those that a `;` or a `,` at the end leaves.
 *
 * A rule that RFC 5545 forbids has no meaning that everyone shares. It is a problem.
 */
export function parseRule(text: string): WrittenRule | RuleProblem | undefined {
  const parts = new Map<string, string>();
  for (const part of text.toUpperCase().split(";")) {
    if (part.trim() === "") continue;
    const [name = "", value = ""] = part.split("=", 2).map((each) => each.trim());
    if (!NAMES.includes(name))
      return { problem: `has the part "${part.slice(0, 40)}"; supported: ${NAMES.join(", ")}` };
    if (parts.has(name)) return { problem: `has ${name} twice; give it once` };
    parts.set(name, value);
  }
  return parts.size === 0 ? undefined : readParts(parts);
}

function readParts(parts: ReadonlyMap<string, string>): WrittenRule | RuleProblem {
  const problems: string[] = [];
  const refuse = (name: string, accepted: string) =>
    void problems.push(`has ${name} "${parts.get(name)?.slice(0, 40)}"; accepted: ${accepted}`);
  const given = parts.get("FREQ");
  if (given === undefined) return { problem: `has no FREQ; accepted: ${FREQUENCIES.join(", ")}` };
  const frequency = FREQUENCIES.find((each) => each === given);
  if (frequency === undefined) refuse("FREQ", FREQUENCIES.join(", "));
  const positive = (name: string, otherwise: number) => {
    const value = parts.get(name);
    if (value === undefined) return otherwise;
    if (!POSITIVE.test(value)) refuse(name, "a whole number from 1");
    return Number(value);
  };
  const list = (name: string) => {
    const numbers = readNumbers(name, parts.get(name) ?? "");
    if (numbers === undefined) refuse(name, acceptedNumbers(name));
    return new Set(numbers);
  };
  const weekdays = readWeekdays(parts.get("BYDAY") ?? "");
  if (weekdays === undefined) refuse("BYDAY", "days such as MO or -1FR");
  const weekStart = WEEKDAYS.indexOf(parts.get("WKST") ?? "MO");
  if (weekStart < 0) refuse("WKST", "one of MO, TU, WE, TH, FR, SA, SU");
  const end = parts.get("UNTIL");
  const until = end === undefined ? undefined : parseDate(end);
  if (end !== undefined && until === undefined) refuse("UNTIL", RULE_DATE);
  const rule = {
    frequency: frequency ?? "DAILY",
    interval: positive("INTERVAL", 1),
    count: positive("COUNT", Number.POSITIVE_INFINITY),
    until: Number.POSITIVE_INFINITY,
    months: list("BYMONTH"),
    weeks: list("BYWEEKNO"),
    yearDays: list("BYYEARDAY"),
    monthDays: list("BYMONTHDAY"),
    weekdays: weekdays ?? [],
    hours: list("BYHOUR"),
    minutes: list("BYMINUTE"),
    // RFC 5545 3.3.12: who knows no leap seconds reads second 60 as second 59.
    seconds: new Set([...list("BYSECOND")].map((second) => Math.min(second, 59))),
    positions: list("BYSETPOS"),
    weekStart,
  };
  const [problem = forbidden(rule)] = problems;
  return problem === undefined ? { rule, until } : { problem };
}

function readNumbers(name: string, value: string): number[] | undefined {
  const bounds = LISTS[name];
  const numbers = splitList(value).map((item) => (/^[+-]?\d{1,3}$/.test(item) ? Number(item) : Number.NaN));
  const isIn = (number: number) => {
    const size = bounds?.isSigned ? Math.abs(number) : number;
    return bounds !== undefined && size >= bounds.least && size <= bounds.most;
  };
  return numbers.every(isIn) ? numbers : undefined;
}

function acceptedNumbers(name: string): string {
  const { least = 0, most = 0, isSigned = false } = LISTS[name] ?? {};
  return `numbers from ${least} to ${most}${isSigned ? `, or from -${least} to -${most}` : ""}`;
}

function readWeekdays(value: string): RuleWeekday[] | undefined {
  const days: RuleWeekday[] = [];
  for (const item of new Set(splitList(value))) {
    const match = /^([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)$/.exec(item);
    const ordinal = Number(match?.[1] ?? 0);
    const isIn = match?.[1] === undefined || (ordinal !== 0 && Math.abs(ordinal) <= 53);
    if (match === null || !isIn) return undefined;
    days.push({ weekday: WEEKDAYS.indexOf(match[2] ?? ""), ordinal });
  }
  return days;
}

/** Says what RFC 5545 (3.3.10) forbids in a rule. */
function forbidden({ frequency, weeks, yearDays, monthDays, weekdays }: RecurrenceRule): string | undefined {
  const not = (part: string, accepted: string) =>
    `has ${part} with FREQ=${frequency}; accepted: FREQ=${accepted}`;
  if (weeks.size > 0 && frequency !== "YEARLY") return not("BYWEEKNO", "YEARLY");
  if (yearDays.size > 0 && frequency !== "YEARLY") return not("BYYEARDAY", "YEARLY");
  if (monthDays.size > 0 && frequency === "WEEKLY") return not("BYMONTHDAY", "DAILY, MONTHLY or YEARLY");
  if (!weekdays.some(({ ordinal }) => ordinal !== 0)) return undefined;
  if (frequency === "DAILY" || frequency === "WEEKLY")
    return not("a number in BYDAY, such as 1MO,", "MONTHLY or YEARLY");
  return weeks.size > 0 ? "has BYWEEKNO and a number in BYDAY, such as 1MO; give the day only" : undefined;
}
