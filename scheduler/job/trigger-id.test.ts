import { expect, test } from "vitest";
import { triggerId } from "./trigger-id.ts";

// Computed by `printf 'easycron.trigger.v1\n…' | sha256sum` and Python's base64.b32encode with the alphabet replaced.
test("a trigger's id is computed from the job's uid and the fire time alone", () => {
  expect(triggerId("job_01jd3k8z5me9t8r7q6p5n4m3k2", Date.UTC(2026, 2, 1, 9))).toBe(
    "trg_qknmkgaskq0g25p98963fabgmr",
  );
});

test("a manual run's id takes in its request id", () => {
  expect(triggerId("job_01jd3k8z5me9t8r7q6p5n4m3k2", Date.UTC(2026, 2, 1, 9), "r-1")).toBe(
    "trg_r60jr5c296dprywe5jrgsw630g",
  );
});
