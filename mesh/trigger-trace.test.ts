import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { triggerId } from "../scheduler/job/trigger-id.ts";
import { spanIdOf, traceIdOf } from "./trigger-trace.ts";

const jobUid = "job_01jd3k8z5me9t8r7q6p5n4m3k2";
const id = triggerId(jobUid, Date.UTC(2026, 2, 1, 9));

test("the trace id of a trigger is the bytes of its id", () => {
  const digest = hash("sha256", `easycron.trigger.v1\n${jobUid}\n2026-03-01T09:00:00.000Z`);
  expect(traceIdOf(id)).toBe(digest.slice(0, 32));
});

test("each part of a trigger's trace has a span id of its own, which is always the same", () => {
  const parts = ["trigger", "hand-over", "attempt 1", "attempt 2"] as const;
  const ids = parts.map((part) => spanIdOf(id, part));
  expect(new Set(ids).size).toBe(parts.length);
  for (const each of ids) expect(each).toMatch(/^[0-9a-f]{16}$/);
  expect(ids[2]).toBe(hash("sha256", `easycron.span.v1\n${id}\nattempt 1`).slice(0, 16));
});

test("a text that is no trigger id has a trace id too, and no trace id is zero", () => {
  expect(traceIdOf("trg_1")).toBe(hash("sha256", "trg_1").slice(0, 32));
  expect(traceIdOf(`trg_${"0".repeat(26)}`)).toBe(`${"0".repeat(31)}1`);
});
