import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DAY_SECONDS, formatLocal } from "../../../cron/local-time.ts";
import { fitsStart, recurrencesOf } from "../../../cron/recurrence.ts";
import type { RecurrenceRule } from "../../../cron/recurrence-rule.ts";
import { parseRule } from "./rule.ts";
import { parseDate } from "./values.ts";

const LAST_DAY = dayOf("20601231");
const ANSWERS = readFileSync(new URL("./testing/recurrence-answers.txt", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line): [string, string, string] => {
    const [rule = "", start = "", answer = ""] = line.split("|");
    return [rule, start, answer];
  });

function secondOf(text: string): number {
  const date = parseDate(text);
  if (date === undefined) throw new Error(`${text} is no date.`);
  return date.local;
}

function dayOf(text: string): number {
  return Math.floor(secondOf(text) / DAY_SECONDS);
}

function ruleOf(text: string): RecurrenceRule {
  const written = parseRule(text);
  if (written === undefined || "problem" in written) throw new Error(`${text} ${written?.problem}`);
  return { ...written.rule, until: written.until?.local ?? Number.POSITIVE_INFINITY };
}

/** The first ten local times, until the end of 2060. A start without a time of day gives dates. */
function answer(text: string, start: string, fromDay = dayOf(start)): string {
  const found: string[] = [];
  const range = { fromDay, lastDay: LAST_DAY, spend: () => {} };
  for (const second of recurrencesOf(ruleOf(text), secondOf(start), range)) {
    if (found.length === 10) break;
    found.push(formatLocal(second).replaceAll(/[-:]/g, "").slice(0, start.length));
  }
  return found.join(" ");
}

test("a thousand random rules recur as python-dateutil says", () => {
  expect(ANSWERS).toHaveLength(1_000);
  for (const [rule, start, dates] of ANSWERS) {
    expect(`${rule} from ${start}: ${answer(rule, start)}`).toBe(`${rule} from ${start}: ${dates}`);
  }
});

test("a rule without a count gives the same dates when the periods before a day are skipped", () => {
  const endless = ANSWERS.filter(([rule]) => !rule.includes("COUNT"));
  expect(endless.length).toBeGreaterThan(500);
  for (const [rule, start, dates] of endless) {
    const found = dates.split(" ");
    for (const after of [3, 7]) {
      const from = found[after];
      if (from === undefined) continue;
      const [first] = answer(rule, start, dayOf(from)).split(" ");
      const ofDay = found.find((date) => date.slice(0, 8) === from.slice(0, 8));
      expect(`${rule} from ${from}: ${first}`).toBe(`${rule} from ${from}: ${ofDay}`);
    }
  }
});

test("a rule says whether it recurs at its start", () => {
  const fits = (rule: string, start: string) => fitsStart(ruleOf(rule), secondOf(start));
  expect(fits("FREQ=WEEKLY;BYDAY=TU", "20260505")).toBe(true);
  expect(fits("FREQ=WEEKLY;BYDAY=MO", "20260505")).toBe(false);
  expect(fits("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1", "20260526")).toBe(true);
  expect(fits("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1", "20260525")).toBe(false);
  expect(fits("FREQ=DAILY;BYHOUR=9", "20260505T100000")).toBe(false);
});

test("second 60 is read as second 59", () => {
  expect(answer("FREQ=DAILY;BYSECOND=59,60;COUNT=2", "20260505T090060")).toBe(
    "20260505T090059 20260506T090059",
  );
});

// The examples of RFC 5545 (3.8.5.3) with the dates that it gives, as far as an import accepts their frequency.
describe("the example of RFC 5545", () => {
  test.each<[rule: string, start: string, dates: string]>([
    ["FREQ=DAILY;COUNT=3", "19970902T090000", "19970902T090000 19970903T090000 19970904T090000"],
    ["FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902", "19970902 19970912 19970922 19971002 19971012"],
    ["FREQ=YEARLY;UNTIL=19980102;BYMONTH=1;BYDAY=SU,TH", "19970902", "19980101"],
    ["FREQ=WEEKLY;INTERVAL=2;WKST=SU;COUNT=4", "19970902", "19970902 19970916 19970930 19971014"],
    [
      "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
      "19970902",
      "19970902 19970904 19970916 19970918 19970930 19971002 19971014 19971016",
    ],
    ["FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "19970905", "19970905 19971003 19971107 19971205"],
    [
      "FREQ=MONTHLY;INTERVAL=2;COUNT=6;BYDAY=1SU,-1SU",
      "19970907",
      "19970907 19970928 19971102 19971130 19980104 19980125",
    ],
    ["FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "19970922", "19970922 19971020 19971117"],
    ["FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-3", "19970928", "19970928 19971029 19971128"],
    ["FREQ=MONTHLY;COUNT=4;BYMONTHDAY=1,-1", "19970930", "19970930 19971001 19971031 19971101"],
    ["FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "19970610", "19970610 19970710 19980610 19980710"],
    [
      "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
      "19970101",
      "19970101 19970410 19970719 20000101 20000409 20000718 20030101 20030410 20030719 20060101",
    ],
    ["FREQ=YEARLY;BYDAY=20MO;COUNT=3", "19970519", "19970519 19980518 19990517"],
    ["FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3", "19970512", "19970512 19980511 19990517"],
    ["FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=4", "19970313", "19970313 19970320 19970327 19980305"],
    ["FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "19970902", "19980213 19980313 19981113"],
    ["FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=3", "19970913", "19970913 19971011 19971108"],
    [
      "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
      "19961105",
      "19961105 20001107 20041102 20081104 20121106 20161108 20201103 20241105 20281107 20321102",
    ],
    ["FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904", "19970904 19971007 19971106"],
    ["FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=3", "19970929", "19970929 19971030 19971127"],
    ["FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "19970805", "19970805 19970810 19970819 19970824"],
    ["FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "19970805", "19970805 19970817 19970819 19970831"],
    ["FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "20070115", "20070115 20070130 20070215 20070315 20070330"],
    [
      "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,40;COUNT=5",
      "19970902T090000",
      "19970902T090000 19970902T094000 19970902T100000 19970902T104000 19970903T090000",
    ],
  ])("%s from %s", (rule, start, dates) => {
    expect(answer(rule, start)).toBe(dates);
  });
});

// Each answer follows from RFC 5545 and was computed by hand, because python-dateutil has another one.
describe("a rule that python-dateutil reads differently", () => {
  test.each<[name: string, rule: string, start: string, dates: string]>([
    [
      "takes the weekday of the start if it has only weeks",
      "FREQ=YEARLY;BYWEEKNO=20;COUNT=3",
      "20260513",
      "20260513 20270519 20280517",
    ],
    [
      "counts positions from the first day of the week, also in the week of the start",
      "FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=1;COUNT=2",
      "20260506",
      "20260511 20260518",
    ],
    [
      "has week 53 of a year that has 53 weeks",
      "FREQ=YEARLY;BYWEEKNO=53;BYDAY=TH;COUNT=2",
      "20200101",
      "20201231 20261231",
    ],
    [
      "has the last week of a year, also where it ends in the next one",
      "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU;COUNT=3",
      "20260105",
      "20270103 20280102 20281231",
    ],
    [
      "takes days with a number and days without one",
      "FREQ=MONTHLY;BYDAY=1WE,TH;COUNT=6",
      "20260501",
      "20260506 20260507 20260514 20260521 20260528 20260603",
    ],
  ])("%s", (_, rule, start, dates) => {
    expect(answer(rule, start)).toBe(dates);
  });
});
