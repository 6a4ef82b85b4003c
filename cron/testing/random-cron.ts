import fc from "fast-check";

/** A random expression with its meaning. The meaning is recorded while the expression is made; nothing parses it. */
export type RandomCron = {
  text: string;
  seconds: Set<number>;
  minutes: Set<number>;
  hours: Set<number>;
  months: Set<number>;
  matchesDay: (year: number, month: number, day: number) => boolean;
  periodic: boolean;
};

type Item = { text: string; values: number[] };
type DayTest = (year: number, month: number, day: number) => boolean;
type DayItem = { text: string; test: DayTest };

const MONTH_NAMES = ["", "JAN", "feb", "Mar", "APR", "MAY", "jun", "JUL", "AUG", "SEP", "OCT", "NOV", "dec"];
const DAY_NAMES = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "sat"];

function weekday(year: number, month: number, day: number): number {
  return new Date(Date.UTC(year, month - 1, day)).getUTCDay();
}

function monthLength(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** Every `step`-th value from `from` to `to`, which continues with `min` after `max`. */
function around(min: number, max: number, from: number, to: number, step: number): number[] {
  const values: number[] = [];
  let skip = 0;
  for (let value = from; ; value = value === max ? min : value + 1) {
    if (skip === 0) values.push(value);
    skip = (skip + 1) % step;
    if (value === to) return values;
  }
}

/** `last` is the value at which an open step ("5/15") stops. In the day-of-week field it is 7, the second Sunday. */
function item(min: number, max: number, name: (value: number) => string, last = max): fc.Arbitrary<Item> {
  const value = fc.integer({ min, max });
  const step = fc.integer({ min: 1, max: max - min + 1 });
  const single = value.map((n) => ({ text: name(n), values: [n] }));
  const range = fc.tuple(value, value).map(([a, b]) => ({
    text: `${name(a)}-${name(b)}`,
    values: around(min, max, a, b, 1),
  }));
  const steppedRange = fc.tuple(value, value, step).map(([a, b, by]) => ({
    text: `${name(a)}-${name(b)}/${by}`,
    values: around(min, max, a, b, by),
  }));
  const steppedStar = step.map((by) => ({ text: `*/${by}`, values: around(min, max, min, max, by) }));
  const open = fc.tuple(value, step).map(([a, by]) => ({
    text: `${a}/${by}`,
    values: around(min, last, a, last, by).map((n) => (n > max ? min : n)),
  }));
  return fc.oneof(single, single, range, steppedRange, steppedStar, open);
}

function field(min: number, max: number, starWeight: number, name: (value: number) => string = String) {
  const star = fc.constant<Item>({ text: "*", values: around(min, max, min, max, 1) });
  const list = fc.array(item(min, max, name), { minLength: 1, maxLength: 3 }).map((items) => ({
    text: items.map((each) => each.text).join(","),
    values: items.flatMap((each) => each.values),
  }));
  return fc.oneof({ weight: starWeight, arbitrary: star }, { weight: 3, arbitrary: list });
}

function plainDay(items: fc.Arbitrary<Item>, read: (y: number, m: number, d: number) => number) {
  return items.map<DayItem>(({ text, values }) => ({
    text,
    test: (y, m, d) => values.includes(read(y, m, d)),
  }));
}

/** The nearest Monday to Friday within the month, searched outwards; the day before wins over the day after. */
function nearestWorkday(year: number, month: number, day: number): number {
  const length = monthLength(year, month);
  if (day > length) return -1;
  for (const candidate of [day, day - 1, day + 1, day - 2, day + 2]) {
    const inside = candidate >= 1 && candidate <= length;
    if (inside && ![0, 6].includes(weekday(year, month, candidate))) return candidate;
  }
  return -1;
}

const dayOfMonthItem: fc.Arbitrary<DayItem> = fc.oneof(
  { weight: 4, arbitrary: plainDay(item(1, 31, String), (_y, _m, d) => d) },
  { weight: 1, arbitrary: fc.constant<DayItem>({ text: "L", test: (y, m, d) => d === monthLength(y, m) }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 30 }).map<DayItem>((n) => ({
      text: `L-${n}`,
      test: (y, m, d) => d === monthLength(y, m) - n,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 31 }).map<DayItem>((n) => ({
      text: `${n}W`,
      test: (y, m, d) => d === nearestWorkday(y, m, n),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constant<DayItem>({
      text: "LW",
      test: (y, m, d) => d === nearestWorkday(y, m, monthLength(y, m)),
    }),
  },
);

const dayName = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.boolean()).map(([n, named]) => ({
  n,
  text: named ? (DAY_NAMES[n] ?? "") : n === 0 ? "7" : String(n),
}));

const dayOfWeekItem: fc.Arbitrary<DayItem> = fc.oneof(
  {
    weight: 4,
    arbitrary: plainDay(
      item(0, 6, (n) => DAY_NAMES[n] ?? "", 7),
      weekday,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(dayName, fc.integer({ min: 1, max: 5 })).map<DayItem>(([{ n, text }, nth]) => ({
      text: `${text}#${nth}`,
      test: (y, m, d) => weekday(y, m, d) === n && Math.ceil(d / 7) === nth,
    })),
  },
  {
    weight: 1,
    arbitrary: dayName.map<DayItem>(({ n, text }) => ({
      text: `${text}L`,
      test: (y, m, d) => weekday(y, m, d) === n && d + 7 > monthLength(y, m),
    })),
  },
);

function dayField(items: fc.Arbitrary<DayItem>, starWeight: number): fc.Arbitrary<DayItem> {
  const list = fc.array(items, { minLength: 1, maxLength: 3 }).map<DayItem>((all) => ({
    text: all.map((each) => each.text).join(","),
    test: (y, m, d) => all.some((each) => each.test(y, m, d)),
  }));
  const star = fc.constantFrom("*", "?").map<DayItem>((text) => ({ text, test: () => true }));
  return fc.oneof({ weight: starWeight, arbitrary: star }, { weight: 3, arbitrary: list });
}

/** Random expressions: with `dense` most days match; `seconds` adds a leading field for seconds. */
export function randomCron(dense: boolean, seconds: boolean): fc.Arbitrary<RandomCron> {
  const starWeight = dense ? 9 : 1;
  return fc
    .record({
      second: field(0, 59, 1),
      minute: field(0, 59, 1),
      hour: field(0, 23, 1),
      dayOfMonth: dayField(dayOfMonthItem, starWeight),
      month: field(1, 12, starWeight, (n) => MONTH_NAMES[n] ?? ""),
      dayOfWeek: dayField(dayOfWeekItem, starWeight),
    })
    .map(({ second, minute, hour, dayOfMonth, month, dayOfWeek }) => {
      const free = (text: string) => text === "*" || text === "?";
      const either = !free(dayOfMonth.text) && !free(dayOfWeek.text);
      const texts = [minute.text, hour.text, dayOfMonth.text, month.text, dayOfWeek.text];
      return {
        text: (seconds ? [second.text, ...texts] : texts).join(" "),
        seconds: new Set(seconds ? second.values : [0]),
        minutes: new Set(minute.values),
        hours: new Set(hour.values),
        months: new Set(month.values),
        matchesDay: (y: number, m: number, d: number) =>
          either
            ? dayOfMonth.test(y, m, d) || dayOfWeek.test(y, m, d)
            : dayOfMonth.test(y, m, d) && dayOfWeek.test(y, m, d),
        periodic:
          minute.text.startsWith("*") ||
          hour.text.startsWith("*") ||
          new Set(hour.values).size === 24 ||
          new Set(minute.values).size === 60,
      };
    });
}
