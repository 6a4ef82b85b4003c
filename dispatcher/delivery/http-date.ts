/**
 * Reads an HTTP date in any of its three forms (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`,
 * `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. Returns epoch milliseconds.
 *
 * Returns undefined for any other text and for a date that does not exist. The name of the day is not checked. A year
 * of two digits that is more than 50 years after `nowMs` means the same two digits in the past.
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups;
    if (parts !== undefined) return toInstant(parts, nowMs);
  }
  return undefined;
}

const TIME = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`;
const SHORT_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTH = `(?<month>${MONTHS.join("|")})`;

const FORMS = [
  new RegExp(String.raw`^${SHORT_DAY}, (?<day>\d{2}) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`),
  new RegExp(String.raw`^${LONG_DAY}, (?<day>\d{2})-${MONTH}-(?<year>\d{2}) ${TIME} GMT$`),
  new RegExp(String.raw`^${SHORT_DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})$`),
];

const YEARS_AHEAD = 50;

function toInstant(parts: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(Number);
  const month = MONTHS.indexOf(parts.month ?? "");
  if (day === undefined || hour === undefined || minute === undefined || second === undefined)
    return undefined;
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const at = (year: number): number => Date.UTC(year, month, day, hour, minute, second);
  const year = toYear(parts.year ?? "", at, nowMs);
  const isDate = new Date(Date.UTC(year, month, day)).getUTCDate() === day;
  return isDate ? at(year) : undefined;
}

function toYear(digits: string, at: (year: number) => number, nowMs: number): number {
  if (digits.length === 4) return Number(digits);
  const now = new Date(nowMs);
  const year = now.getUTCFullYear() - (now.getUTCFullYear() % 100) + Number(digits);
  const latestMs = Date.UTC(now.getUTCFullYear() + YEARS_AHEAD, now.getUTCMonth(), now.getUTCDate());
  return at(year) > latestMs ? year - 100 : year;
}
