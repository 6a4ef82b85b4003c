import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ScheduleError } from "./errors.ts";
import { neverFires, parseCron } from "./expression.ts";

function meaning(expression: string) {
  const { expression: _text, periodic: _periodic, ...sets } = parseCron(expression);
  return sets;
}

function refusal(expression: string, dialect: "STANDARD" | "WITH_SECONDS" = "STANDARD"): ScheduleError {
  try {
    parseCron(expression, { dialect });
  } catch (error) {
    if (error instanceof ScheduleError) return error;
    throw error;
  }
  throw new Error(`${expression} was accepted`);
}

describe("parseCron gives the same fields for forms that mean the same", () => {
  test.each([
    ["@yearly", "0 0 1 1 *"],
    ["@ANNUALLY", "0 0 1 1 *"],
    ["@Monthly", "0 0 1 * *"],
    ["@weekly", "0 0 * * 0"],
    [" @Daily\t", "0 0 * * *"],
    ["@midnight", "0 0 * * *"],
    ["@hourly", "0 * * * *"],
    ["  0 \t 0  * * *  ", "0 0 * * *"],
    ["00 09 * * 01", "0 9 * * 1"],
    ["0 0 * JAN-mar Mon", "0 0 * 1-3 1"],
    ["0 0 * * MON-SUN", "0 0 * * 1-7"],
    ["0 0 * * FRI-SUN", "0 0 * * 5,6,0"],
    ["0 0 * * SAT-SUN", "0 0 * * 6,7"],
    ["0 0 * * FRI-MON", "0 0 * * 5,6,0,1"],
    ["0 0 * * 5-1", "0 0 * * 0,1,5,6"],
    ["0 0 * * 7-2", "0 0 * * 0-2"],
    ["0 0 * * SUN-SUN", "0 0 * * 0"],
    ["0 0 * * 7-7", "0 0 * * 0"],
    ["0 0 * * 0-7", "0 0 * * 0-6"],
    ["0 0 * * 0,7", "0 0 * * 0"],
    ["0 0 1,1 * *", "0 0 1 * *"],
    ["5,1-10 * * * *", "1-10 * * * *"],
    ["*/2,*/3 0 * * *", "*/3,*/2 0 * * *"],
    ["*,5 0 * * *", "0-59 0 * * *"],
    ["5/15 * * * *", "5,20,35,50 * * * *"],
    ["0 20/2 * * *", "0 20,22 * * *"],
    ["0 22-2 * * *", "0 22,23,0,1,2 * * *"],
    ["0 22-3/2 * * *", "0 22,0,2 * * *"],
    ["50-10/10 * * * *", "50,0,10 * * * *"],
    ["0 0 28-2 * *", "0 0 28,29,30,31,1,2 * *"],
    ["0 0 1 NOV-FEB *", "0 0 1 11,12,1,2 *"],
    ["0 0 * * FRI-TUE/2", "0 0 * * 5,0,2"],
    ["0 0 * * 1/2", "0 0 * * 1,3,5,7"],
    ["0 0 l * *", "0 0 L * *"],
    ["0 0 ? * ?", "0 0 * * *"],
    ["0 0 * * fri#3", "0 0 * * 5#3"],
    ["0 0 * * SUNL", "0 0 * * 7L"],
    ["*/60 0 * * *", "0 0 * * *"],
  ])("%s and %s", (left, right) => {
    expect(meaning(left)).toEqual(meaning(right));
  });
});

test("parseCron keeps the expression as written, except for its blanks", () => {
  expect(parseCron("\t0  9 * * mon-FRI ").expression).toBe("0 9 * * mon-FRI");
});

test("parseCron reads a leading seconds field in the dialect WITH_SECONDS, where macros are due at second 0", () => {
  const { expression: _six, ...six } = parseCron("0 0 0 * * *", { dialect: "WITH_SECONDS" });
  const { expression: _macro, ...macro } = parseCron("@daily", { dialect: "WITH_SECONDS" });
  const { expression: _five, ...five } = parseCron("0 0 * * *");
  expect(six).toEqual(five);
  expect(macro).toEqual(five);
  expect(parseCron("59 0 0 * * *", { dialect: "WITH_SECONDS" }).secondsHigh).toBe(1 << 29);
});

test.each([
  ["* 2 * * *", true],
  ["*/30 1 * * *", true],
  ["0 */2 * * *", true],
  ["0 0-23 * * *", true],
  ["0-59 2 * * *", true],
  ["30 2 * * *", false],
  ["0,30 1-4 * * *", false],
  ["0 0-22 * * *", false],
])("parseCron tells whether %s is periodic: %s", (expression, periodic) => {
  expect(parseCron(expression).periodic).toBe(periodic);
});

describe("parseCron refuses", () => {
  test.each([
    ["", "is empty"],
    [" \t ", "is empty"],
    ["*", "1 field"],
    ["0 12 * *", "4 fields"],
    ["0 0 0 1 1 * 2027", "7 fields"],
    ["0 0 0 1 1 *", "has 6 fields"],
    ["60 * * * *", "60 is not from 0 to 59"],
    ["* 24 * * *", "24 is not from 0 to 23"],
    ["* * 0 * *", "0 is not from 1 to 31"],
    ["* * 32 * *", "32 is not from 1 to 31"],
    ["* * * 13 *", "13 is not from 1 to 12"],
    ["* * * * 8", "8 is not from 0 to 7"],
    ["* * * 0 *", "0 is not from 1 to 12"],
    ["-5 * * * *", "-5 is not a value"],
    ["1.5 * * * *", "not a value"],
    ["0x5 * * * *", "0X5 is not a value"],
    ["1e1 * * * *", "1E1 is not a value"],
    ["005 * * * *", "005 has more than two digits"],
    ["*/0 * * * *", "the step 0"],
    ["*/61 * * * *", "the step 61"],
    ["*/9999999999 * * * *", "the step 9999999999"],
    ["0 0 * * */8", "the step 8"],
    ["5-60 * * * *", "60 is not from 0 to 59"],
    ["1-2-3 * * * *", "not a value"],
    ["*5 * * * *", "not a value"],
    ["*-5 * * * *", "not a value"],
    ["5/ * * * *", "not a value"],
    ["/5 * * * *", "not a value"],
    [", * * * *", "an empty item"],
    ["1,,2 * * * *", "an empty item"],
    ["? 0 * * *", "? is allowed in the day fields only, and only alone"],
    ["0 0 * ? *", "? is allowed in the day fields only, and only alone"],
    ["0 0 ?/2 * *", "? is allowed in the day fields only, and only alone"],
    ["0 0 1,? * *", "? is allowed in the day fields only, and only alone"],
    ["0 0 * FOO *", "FOO is not a value"],
    ["0 0 * * MONDAY", "MONDAY is not a value"],
    ["MON 0 * * *", "MON is not a value"],
    ["0 0 * * L", "L needs a day of the week"],
    ["0 0 L-0 * *", "the number after L- is not from 1 to 30"],
    ["0 0 L-31 * *", "the number after L- is not from 1 to 30"],
    ["0 0 32W * *", "32 is not from 1 to 31"],
    ["0 0 W * *", "W is not a value"],
    ["0 0 1-5W * *", "not a value"],
    ["L 0 * * *", "L is not a value"],
    ["0 0 * * 5#0", "the number after # is not from 1 to 5"],
    ["0 0 * * 5#6", "the number after # is not from 1 to 5"],
    ["0 0 * * 8#1", "8 is not from 0 to 7"],
    ["0 0 * * 1-5#2", "not a value"],
    ["0 0 5#1 * *", "not a value"],
    ["0 0 * * H#1", "need exactly one day"],
    ["H(5-2) * * * *", "ends before it starts"],
    ["H(0-60) * * * *", "60 is not from 0 to 59"],
    ["H/0 * * * *", "the step 0"],
    ["HH * * * *", "HH is not a value"],
    ["@reboot", "not a known macro"],
    ["@every 5m", "not a known macro"],
    ["@daily @daily", "not a known macro"],
    ["TZ=UTC 0 0 * * *", "names a time zone"],
    ["CRON_TZ=Europe/Paris 0 0 * * *", "names a time zone"],
    ["0 0 * * *\n", "U+000A"],
    ["0\u00a00 * * *", "U+00A0"],
    ["\ufeff0 0 * * *", "U+FEFF"],
    ["0 0 \u0661 * *", "U+0661"],
    ["0\v0 * * *", "U+000B"],
    ["0 0 * * \u{1d7d9}", "U+1D7D9"],
    ["\0 0 * * *", "U+0000"],
    [",".repeat(10_240), "10240 characters"],
    [`${" ".repeat(250)}0 0 * * *`, "259 characters"],
    ["every day at noon", "4 fields"],
    ["a b c d e", "A is not a value"],
    ["__proto__ 0 * * *", "__PROTO__ is not a value"],
    ["0 0 * constructor *", "CONSTRUCTOR is not a value"],
  ])("%j: %s", (expression, reason) => {
    const error = refusal(expression);
    expect(error.field).toBe("cron.expression");
    expect(error.message).toContain(reason);
    expect(error.message).toContain("accepted: ");
    expect(error.value.length).toBeLessThanOrEqual(64 * 8);
  });

  test("with at most 64 characters of the value in the message, and no control characters", () => {
    const error = refusal(`\x07\u202e${"a".repeat(300)}`);
    expect(error.value).toMatch(/^\\u\{7\}\\u\{202e\}a{61}…$/);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  });

  test("a wrong number of fields, and names the other dialect if it has that number", () => {
    expect(refusal("0 0 0 1 1 *").accepted).toContain(
      "six fields with the dialect CRON_DIALECT_WITH_SECONDS",
    );
    expect(refusal("30 9 * * *", "WITH_SECONDS")).toMatchObject({
      message: expect.stringContaining("has 5 fields"),
      accepted: expect.stringContaining("five fields with the dialect CRON_DIALECT_STANDARD"),
    });
    expect(refusal("0 0 * *", "WITH_SECONDS").accepted).toMatch(/^six fields \(second minute[^,]*$/);
    expect(refusal("60 0 0 * * *", "WITH_SECONDS").message).toContain('"60" in the second field');
  });
});

describe("H", () => {
  test("picks the same values for the same seed, and without a seed", () => {
    expect(parseCron("H H H H H", { seed: "job_1" })).toEqual(parseCron("H H H H H", { seed: "job_1" }));
    expect(parseCron("H H * * *")).toEqual(parseCron("H H * * *", { seed: "" }));
  });

  test("picks the same values in every release", () => {
    const fields = parseCron("H H H H H", { seed: "job_01arz3ndektsv4rrffq69g5fav" });
    const { minutesLow, minutesHigh, hours, daysOfMonth, months, daysOfWeek } = fields;
    expect({ minutesLow, minutesHigh, hours, daysOfMonth, months, daysOfWeek }).toMatchInlineSnapshot(`
      {
        "daysOfMonth": 268435456,
        "daysOfWeek": 4,
        "hours": 524288,
        "minutesHigh": 512,
        "minutesLow": 0,
        "months": 256,
      }
    `);
  });

  test("spreads jobs over the hour", () => {
    const minutes = new Map<string, number>();
    for (let n = 0; n < 6_000; n += 1) {
      const { minutesLow, minutesHigh } = parseCron("H * * * *", { seed: `job_${n}` });
      const key = `${minutesLow} ${minutesHigh}`;
      minutes.set(key, (minutes.get(key) ?? 0) + 1);
    }
    expect(minutes.size).toBe(60);
    expect(Math.max(...minutes.values())).toBeLessThan(150);
  });

  test("with a step spreads jobs over the values of the first step", () => {
    const starts = new Set<number>();
    for (let n = 0; n < 600; n += 1) {
      const { minutesLow } = parseCron("H/15 * * * *", { seed: `job_${n}` });
      starts.add(minutesLow & 0x7fff);
    }
    expect([...starts].sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, n) => 1 << n));
  });

  test("picks values in its range, and a day that every month has", () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const fields = parseCron("H(10-19) H/6 H * *", { seed });
        expect(fields.minutesLow & ~0xffc00).toBe(0);
        expect(fields.minutesHigh).toBe(0);
        expect([0x41041, 0x82082, 0x104104, 0x208208, 0x410410, 0x820820]).toContain(fields.hours);
        expect(fields.daysOfMonth & ~0x1ffffffe).toBe(0);
      }),
    );
  });
});

describe("neverFires", () => {
  test.each([
    ["* * 31 2 *", true],
    ["0 0 30 2 *", true],
    ["0 0 31 4,6,9,11 *", true],
    ["0 0 30,31 2 ?", true],
    ["0 0 L-29 2 *", true],
    ["0 0 31W 2 *", true],
    ["0 0 30W FEB *", true],
    ["0 0 29 2 *", false],
    ["0 0 L-28 2 *", false],
    ["0 0 31 2,3 *", false],
    ["0 0 31 2 1", false],
    ["0 0 * 2 6#5", false],
    ["0 0 29W 2 *", false],
  ])("for %s is %s", (expression, never) => {
    expect(neverFires(parseCron(expression))).toBe(never);
  });
});

test("parseCron accepts any text or throws a ScheduleError", () => {
  const alphabet = fc.constantFrom(..."0123456789*/,-?LW#H()@ \tMONJAN".split(""));
  const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: alphabet, maxLength: 40 }));
  const joined = fc.array(fc.string({ unit: alphabet, minLength: 1, maxLength: 6 }), {
    minLength: 5,
    maxLength: 6,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        text,
        joined.map((fields) => fields.join(" ")),
      ),
      (expression) => {
        try {
          neverFires(parseCron(expression, { dialect: "WITH_SECONDS" }));
        } catch (error) {
          expect(error).toBeInstanceOf(ScheduleError);
        }
      },
    ),
    { numRuns: 5_000 },
  );
});
