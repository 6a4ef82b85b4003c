import { describe, expect, test } from "vitest";
import { childTraceparent, newTraceparent, parseTraceparent } from "./trace.ts";

const VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("a traceparent", () => {
  test("is parsed into its parts", () => {
    expect(parseTraceparent(VALID)).toEqual({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      parentId: "b7ad6b7169203331",
      sampled: true,
    });
  });

  test.each([
    undefined,
    "",
    "00",
    VALID.toUpperCase(),
    `ff${VALID.slice(2)}`,
    `${VALID}-more`,
    `${VALID} `,
    VALID.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    VALID.replace("b7ad6b7169203331", "0".repeat(16)),
  ])("that is malformed, such as %j, is ignored", (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  test("of a later version may be longer", () => {
    expect(parseTraceparent(`cc${VALID.slice(2)}-what-the-future-holds`)?.sampled).toBe(true);
  });

  test("of a child span has the same trace and flags, and a new span id", () => {
    const child = childTraceparent(VALID.replace(/01$/, "00"));
    expect(child).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    expect(child).not.toContain("b7ad6b7169203331");
  });

  test("that is new is valid and has a trace id of its own", () => {
    const made = Array.from({ length: 2_000 }, newTraceparent);
    expect(new Set(made.map((text) => parseTraceparent(text)?.traceId)).size).toBe(2_000);
    expect(parseTraceparent(childTraceparent("nonsense"))).toBeDefined();
  });
});
