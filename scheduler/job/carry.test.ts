import { expect, test } from "vitest";
import { NO_CARRY, readCarry, toCarryJson } from "./carry.ts";

test("a carry reads as it was written", () => {
  const run = { firstMs: 5, reason: "OVERLAP" as const, detail: "" };
  const carry = { waiting: [1, 2], late: [2], requested: [9], run, skipped: 3, missed: 1 };
  expect(readCarry(JSON.parse(toCarryJson(carry)))).toEqual(carry);
  expect(readCarry(JSON.parse(toCarryJson(NO_CARRY)))).toEqual(NO_CARRY);
});

const WRONG: readonly (readonly [unknown, string])[] = [
  [null, "carry"],
  [[], "carry"],
  ["{}", "carry"],
  [{ waiting: "soon" }, "carry.waiting"],
  [{ waiting: { 0: 1 } }, "carry.waiting"],
  [{ waiting: [1, "2"] }, "carry.waiting[1]"],
  [{ late: [1.5] }, "carry.late[0]"],
  [{ requested: [1e16] }, "carry.requested[0]"],
  [{ run: 1 }, "carry.run"],
  [{ run: { firstMs: 1, detail: "" } }, "carry.run.reason"],
  [{ run: { firstMs: 1, reason: "LUNCH", detail: "" } }, "carry.run.reason"],
  [{ run: { firstMs: 1, reason: "OVERLAP" } }, "carry.run.detail"],
  [{ run: { firstMs: "1", reason: "OVERLAP", detail: "" } }, "carry.run.firstMs"],
  [{ skipped: "3" }, "carry.skipped"],
  [{ missed: null }, "carry.missed"],
];

for (const [stored, path] of WRONG) {
  test(`a carry ${JSON.stringify(stored)} is refused, with the path ${path}`, () => {
    expect(() => readCarry(stored)).toThrow(`${path} in scheduler.jobs is not`);
  });
}
