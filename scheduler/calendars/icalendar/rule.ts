import ICAL from "ical.js";

const FREQUENCIES = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];
const DAY = "(?:MO|TU|WE|TH|FR|SA|SU)";
const POSITIVE = /^0*[1-9]\d{0,8}$/;

const listOf = (item: string) => new RegExp(`^${item}(?:,${item})*$`);

/** The accepted form of each part of a recurrence rule, as a pattern and in words. */
const PARTS: Readonly<Record<string, readonly [form: RegExp, accepted: string]>> = {
  FREQ: [new RegExp(`^(?:${FREQUENCIES.join("|")})$`), FREQUENCIES.join(", ")],
  UNTIL: [
    /^\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d|60)Z?)?$/,
    "20261225 or 20261225T090000Z",
  ],
  COUNT: [POSITIVE, "a whole number from 1"],
  INTERVAL: [POSITIVE, "a whole number from 1"],
  BYSECOND: [listOf("\\d{1,2}"), "numbers from 0 to 60"],
  BYMINUTE: [listOf("\\d{1,2}"), "numbers from 0 to 59"],
  BYHOUR: [listOf("\\d{1,2}"), "numbers from 0 to 23"],
  BYDAY: [listOf(`(?:[+-]?\\d{1,2})?${DAY}`), "days such as MO or -1FR"],
  BYMONTHDAY: [listOf("[+-]?\\d{1,2}"), "numbers from 1 to 31, or from -1 to -31"],
  BYYEARDAY: [listOf("[+-]?\\d{1,3}"), "numbers from 1 to 366, or from -1 to -366"],
  BYWEEKNO: [listOf("[+-]?\\d{1,2}"), "numbers from 1 to 53, or from -1 to -53"],
  BYMONTH: [listOf("\\d{1,2}"), "numbers from 1 to 12"],
  BYSETPOS: [listOf("[+-]?\\d{1,3}"), "numbers from 1 to 366, or from -1 to -366"],
  WKST: [new RegExp(`^${DAY}$`), "one of MO, TU, WE, TH, FR, SA, SU"],
};

/**
 * Says what is wrong with a recurrence rule (RRULE), as the rest of a sentence that begins with "line 4", for example
 * `has COUNT "0"; accepted: a whole number from 1`. Undefined when the rule is accepted.
 */
export function checkRule(rule: string): string | undefined {
  const parts = rule.toUpperCase().split(";");
  for (const part of parts) {
    const [name = "", value = ""] = part.split("=", 2);
    const known = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (known === undefined)
      return `has the part "${part.slice(0, 40)}"; supported: ${Object.keys(PARTS).join(", ")}`;
    const [form, accepted] = known;
    if (!form.test(value)) return `has ${name} "${value.slice(0, 40)}"; accepted: ${accepted}`;
  }
  if (!parts.some((part) => part.startsWith("FREQ=")))
    return `has no FREQ; accepted: ${FREQUENCIES.join(", ")}`;
  try {
    ICAL.Recur.fromString(rule.toUpperCase());
    return undefined;
  } catch {
    // The library's message describes its own internals, and says nothing to a customer.
    return "has a recurrence rule with a number that is out of range";
  }
}
