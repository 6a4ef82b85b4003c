import { expect, test } from "vitest";
import { createFailureLog } from "./failure-log.ts";

test("a log of failures writes one line every 10 s, and counts what it left out", () => {
  const lines: object[] = [];
  let nowMs = 0;
  const warn = (fields: object, message: string) => lines.push({ ...fields, message });
  const log = createFailureLog({ warn }, "it failed", () => nowMs);
  for (const atMs of [0, 1, 9_999, 10_000, 10_001]) {
    nowMs = atMs;
    log(`at ${atMs}`, { projectId: "proj_1" });
  }
  expect(lines).toEqual([
    { projectId: "proj_1", err: "at 0", failures: 1, message: "it failed" },
    { projectId: "proj_1", err: "at 10000", failures: 3, message: "it failed" },
  ]);
});
