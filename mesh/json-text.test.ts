import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compactJson, isKeptByDouble, scanJson } from "./json-text.ts";

/** The place of each value in a JSON text, by its path. */
function slicesOf(text: string): Map<string, string> {
  const slices = new Map<string, string>();
  scanJson(text, {
    value: (path, start, end) => slices.set(JSON.stringify(path), text.slice(start, end)),
  });
  return slices;
}

function valuesOf(json: unknown, path: (string | number)[] = []): [string, unknown][] {
  const children = typeof json === "object" && json !== null ? Object.entries(json) : [];
  const nested = children.flatMap(([key, value]) =>
    valuesOf(value, [...path, Array.isArray(json) ? Number(key) : key]),
  );
  return [[JSON.stringify(path), json], ...nested];
}

const spaces = fc.constantFrom(undefined, 1, "\t", "\r\n  ");

test("each value of any JSON text is reported with its place", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), spaces, (json, space) => {
      const text = JSON.stringify(json, undefined, space);
      const slices = slicesOf(text);
      const values = valuesOf(JSON.parse(text));
      expect([...slices.keys()].sort()).toEqual(values.map(([path]) => path).sort());
      for (const [path, value] of values) expect(JSON.parse(slices.get(path) ?? "")).toEqual(value);
    }),
  );
});

test("a text without white space between its tokens means the same", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), spaces, (json, space) => {
      expect(compactJson(JSON.stringify(json, undefined, space))).toBe(JSON.stringify(json));
    }),
  );
  expect(compactJson('{ "a b" : [ 1.0 ,\t-0, 1E+2, "\\" \\u00e9 \\\\" ] }\n')).toBe(
    '{"a b":[1.0,-0,1E+2,"\\" \\u00e9 \\\\"]}',
  );
});

test("a string with a million characters and escapes is read without a deep stack", () => {
  const text = JSON.stringify({ a: '"\\ x'.repeat(250_000) });
  expect(compactJson(` ${text} `)).toBe(text);
  expect(slicesOf(text).get('["a"]')).toHaveLength(text.length - '{"a":}'.length);
});

test("keys that an object has twice are reported, however they are spelled", () => {
  const twice: string[] = [];
  const text = '{"a":1,"b":[{"c":1,"\\u0063":2},{"c":3}],"a":{"a":1}}';
  scanJson(text, { duplicate: (path) => twice.push(path.join("/")) });
  expect(twice).toEqual(["b/0/c", "a"]);
});

test("a text that is nested 100,000 deep is read", () => {
  let count = 0;
  scanJson(`${"[".repeat(100_000)}${"]".repeat(100_000)}`, {
    value: () => {
      count += 1;
    },
  });
  expect(count).toBe(100_000);
});

describe("a number", () => {
  test.each(["0", "1", "-7", "0.1", "1.0", "1e5", "1E+2", "9007199254740994", "1e300", "5e-324", "0.10"])(
    "%s is kept by a double",
    (number) => expect(isKeptByDouble(number)).toBe(true),
  );
  test.each([
    "9007199254740993",
    "3889108265204451307",
    "-0",
    "-0.0",
    "1e400",
    "1e-400",
    "0.1234567890123456789",
  ])("%s is not kept by a double", (number) => expect(isKeptByDouble(number)).toBe(false));
  test("with a million digits is compared without a deep stack or repeated work", () => {
    expect(isKeptByDouble(`1${"0".repeat(500_000)}1`)).toBe(false);
    expect(isKeptByDouble(`1.${"0".repeat(1_000_000)}`)).toBe(true);
  });

  test("that a double has written is kept by a double", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        fc.pre(!Object.is(number, -0));
        expect(isKeptByDouble(JSON.stringify(number))).toBe(true);
      }),
    );
  });
});
