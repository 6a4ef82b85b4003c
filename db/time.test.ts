import fc from "fast-check";
import { expect, test } from "vitest";
import { fromSqlTime, toSqlTime } from "./time.ts";

const LAST_MS = Date.UTC(9_999, 11, 31, 23, 59, 59, 999);

/** An instant as PostgreSQL writes it: without zeros at the end of the fraction. */
const sqlText = (ms: number, micros: number) => {
  const [day = "", time = ""] = new Date(ms).toISOString().slice(0, -1).split("T");
  const text = `${day} ${time}${String(micros).padStart(3, "0")}`;
  return `${text.replace(/\.?0+$/, (zeros) => (text.includes(".") ? "" : zeros))}+00`;
};

test("an instant is read from the text that PostgreSQL makes of it, without its microseconds", () => {
  const instant = fc.oneof(
    fc.integer({ min: -100_000, max: 100_000 }),
    fc.integer({ min: 0, max: 100 }).map((second) => second * 1_000),
    fc.integer({ min: 0, max: LAST_MS }),
  );
  const micros = fc.constantFrom(0, 0, 500, 999, 1);
  fc.assert(
    fc.property(fc.array(fc.tuple(instant, micros), { minLength: 1, maxLength: 200 }), (instants) => {
      for (const [ms, part] of instants) expect(fromSqlTime(sqlText(ms, part))).toBe(ms);
    }),
  );
});

test("the text that is made of an instant reads as that instant", () => {
  expect(toSqlTime(Date.UTC(2026, 10, 24, 2))).toBe("2026-11-24T02:00:00.000Z");
  expect(fromSqlTime("2026-11-24 02:00:00+00")).toBe(Date.UTC(2026, 10, 24, 2));
  expect(fromSqlTime("2026-11-24 02:00:00.1+00")).toBe(Date.UTC(2026, 10, 24, 2, 0, 0, 100));
});

test("a time that a Date cannot hold reads as NaN", () => {
  for (const text of ["infinity", "-infinity", "294276-12-31 23:59:59+00"]) {
    expect(fromSqlTime(text)).toBeNaN();
  }
});
