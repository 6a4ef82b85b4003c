import { expect, test } from "vitest";
import { toPayload } from "./payload.ts";

test("any JSON value becomes a payload", () => {
  expect(toPayload({ a: [1, -2.5, null, "x", true, 2 ** 53 - 1] }).kind.case).toBe("structValue");
});

test.each([
  ["payload.items[1].id is 9007199254740992", { items: [1, { id: 2 ** 53 }] }],
  ["payload.a is 1e+300", { a: 1e300 }],
  ["payload is NaN", Number.NaN],
  ["payload[0] is -Infinity", [Number.NEGATIVE_INFINITY]],
])("a number that cannot be kept is refused with its path: %s", (message, json) => {
  expect(() => toPayload(json)).toThrow(
    new RangeError(`${message}, a number that cannot be kept; send it as a text.`),
  );
});
