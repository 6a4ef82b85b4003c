import { expect, test } from "vitest";
import { fittingPage } from "./fitting-page.ts";

test("a page has as many rows as fit into 4 MiB of specifications, but at least one", () => {
  const rows = (count: number, chars: number) =>
    Array.from({ length: count }, () => ({ spec: "x".repeat(chars) }));
  expect(fittingPage(rows(500, 100))).toHaveLength(500);
  expect(fittingPage(rows(500, 64 * 1024))).toHaveLength(64);
  expect(fittingPage(rows(2, 5 * 1024 * 1024))).toHaveLength(1);
  expect(fittingPage([])).toEqual([]);
});
