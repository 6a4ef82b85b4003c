import { describe, expect, test } from "vitest";
import { childTraceparent, newTraceparent, parseTraceparent } from "./trace.ts";

const VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("a traceparent", () => {
  test("is read", () => {
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
  ])("of the form %j is ignored", (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  test("of a later version may be longer", () => {
    expect(parseTraceparent(`cc${VALID.slice(2)}-what-the-future-holds`)?.sampled).toBe(true);
  });

  test("of a child keeps trace and flags and has a span of its own", () => {
    const child = childTraceparent(VALID.replace(/01$/, "00"));
    expect(child).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    expect(child).not.toContain("b7ad6b7169203331");
  });

  test("made new is valid and never the same", () => {
    const made = Array.from({ length: 2_000 }, newTraceparent);
    expect(new Set(made.map((text) => parseTraceparent(text)?.traceId)).size).toBe(2_000);
    expect(parseTraceparent(childTraceparent("nonsense"))).toBeDefined();
  });
});
