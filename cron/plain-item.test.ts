import { CronExpressionParser } from "cron-parser";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DAY_OF_MONTH, DAY_OF_WEEK, type FieldKind, HOUR, MINUTE, MONTH, SECOND } from "./field-kind.ts";
import { parsePlainItem } from "./plain-item.ts";

const KINDS = [SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK];

/** The values of an item as cron-parser reads it, or undefined if cron-parser refuses it. */
function judged(kind: FieldKind, item: string): number[] | undefined {
  const texts = KINDS.map((each) => (each === kind ? item : "*"));
  try {
    const { fields } = CronExpressionParser.parse(texts.join(" "), { currentDate: 0, tz: "UTC" });
    const { second, minute, hour, dayOfMonth, month, dayOfWeek } = fields;
    const members = [second, minute, hour, dayOfMonth, month, dayOfWeek];
    return members[KINDS.indexOf(kind)]?.values.map(Number);
  } catch {
    return undefined;
  }
}

/** Items of one kind of field, with names if the field has names. */
function itemOf(kind: FieldKind): fc.Arbitrary<string> {
  const number = fc.integer({ min: kind.min, max: kind.max }).map(String);
  const names = Object.keys(kind.names);
  const value = names.length === 0 ? number : fc.oneof(number, fc.constantFrom(...names));
  const range = fc.tuple(value, value).map(([from, to]) => `${from}-${to}`);
  const base = fc.oneof(fc.constant("*"), value, range);
  const step = fc.integer({ min: 1, max: kind.size }).map((every) => `/${every}`);
  return fc.tuple(base, fc.oneof(fc.constant(""), step)).map((parts) => parts.join(""));
}

describe("an item that cron-parser accepts means the same to us", () => {
  const asSet = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

  test.each(KINDS.map((kind) => [kind.label, kind] as const))("in the %s field", (_label, kind) => {
    let taken = 0;
    fc.assert(
      fc.property(itemOf(kind), (item) => {
        const expected = judged(kind, item);
        if (expected === undefined) return;
        taken += 1;
        const values = parsePlainItem(kind, item, "");
        const fold = (value: number) => (kind === DAY_OF_WEEK ? value % 7 : value);
        expect(asSet(values.map(fold)), item).toEqual(asSet(expected.map(fold)));
      }),
      { numRuns: 400 },
    );
    expect(taken).toBeGreaterThan(200);
  });
});
