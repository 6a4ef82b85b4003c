import { describe, expect, test } from "vitest";
import { fillBody, findBodyProblem, parseBodyTemplate } from "./body-template.ts";

const VALUES = {
  trigger: "trg_1",
  job: "nightly",
  nominalTime: "2026-03-01T09:00:00.000Z",
  attempt: "2",
  payload: '{"a":"b\\n\\"c\\"","d":[1]}',
};

function fill(text: string, contentType?: string, payload = VALUES.payload): string {
  const parsed = parseBodyTemplate(text, contentType);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return fillBody(parsed.template, { ...VALUES, payload });
}

describe("a template", () => {
  test("has its placeholders replaced, with or without spaces in the braces", () => {
    const text =
      '{"id":"{{trigger}}","job":"{{ job }}","at":"{{nominalTime}}","n":{{attempt}},"p":{{payload}}}';
    expect(findBodyProblem(text)).toBeUndefined();
    expect(JSON.parse(fill(text))).toEqual({
      id: "trg_1",
      job: "nightly",
      at: VALUES.nominalTime,
      n: 2,
      p: JSON.parse(VALUES.payload),
    });
  });

  test.each([
    ["an object", VALUES.payload, VALUES.payload],
    ["a text", '"say \\"hi\\" \\u00fc"', 'say "hi" ü'],
    ["null", "null", "null"],
  ])("has %s escaped inside a text of JSON", (_, payload, text) => {
    expect(JSON.parse(fill('{"text":"a \\" b {{payload}} c"}', undefined, payload))).toEqual({
      text: `a " b ${text} c`,
    });
  });

  test("may have escaped backslashes before a placeholder", () => {
    const text = '{"a":"x\\\\{{payload}}"}';
    expect(findBodyProblem(text)).toBeUndefined();
    expect(JSON.parse(fill(text, undefined, '"b"'))).toEqual({ a: "x\\b" });
  });

  test("that ends with braces of JSON is no placeholder", () => {
    expect(fill('{"a":{"b":{{payload}}}}', undefined, "1")).toBe('{"a":{"b":1}}');
    expect(fill('{"a":{"b":{}}}')).toBe('{"a":{"b":{}}}');
  });

  test("of another type is not looked at as JSON", () => {
    const text = 'It\'s "{{payload}}" for {{job}}';
    expect(findBodyProblem(text, "text/plain; charset=utf-8")).toBeUndefined();
    expect(fill(text, "text/plain; charset=utf-8", '"x"')).toBe('It\'s ""x"" for nightly');
  });

  test.each([
    ["an unknown name", '{"a":"{{secret}}"}', undefined, "{{secret}}"],
    ["an expression", '{"a":"{{trigger | upper}}"}', undefined, "{{trigger | upper}}"],
    ["no name", "{{}}", "text/plain", "{{}}"],
    ["braces without an end", '{"a":"{{trigger}"}', undefined, 'without "}}"'],
    ["the payload twice", "{{payload}} {{payload}}", "text/plain", "use it once"],
    ["too many placeholders", "{{job}}".repeat(101), "text/plain", "at most 100"],
    ["no JSON", "hello {{job}}", undefined, "set contentType"],
    [
      "no JSON under a type of JSON",
      "hello",
      "application/cloudevents+json; charset=utf-8",
      "set contentType",
    ],
    ["a backslash before a placeholder in a text", '{"a":"x\\{{payload}}"}', undefined, "write two"],
    ["a placeholder of text without quotes", '{"a":{{trigger}}}', "application/json", "is not JSON"],
  ])("with %s has a problem", (_, text, contentType, problem) => {
    expect(findBodyProblem(text, contentType)).toContain(problem);
  });
});

test("the largest body is below 256 KiB", () => {
  const rest = "{{job}}".repeat(99);
  const start = '{"p":"{{payload}}","j":"';
  const text = `${start}${rest}${"x".repeat(65_536 - start.length - rest.length - 2)}"}`;
  expect(findBodyProblem(text)).toBeUndefined();
  const payload = JSON.stringify('"'.repeat(32_767));
  const array = `[${payload.slice(0, 65_500)}"]`;
  const filled = fillBody((parseBodyTemplate(text) as { template: [] }).template, {
    ...VALUES,
    job: "j".repeat(63),
    payload: array,
  });
  expect(Buffer.byteLength(filled)).toBeLessThan(256 * 1024);
});
