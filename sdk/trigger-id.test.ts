import { expect, test } from "vitest";
import { triggerId } from "./trigger-id.ts";

const jobUid = "job_01jd3k8z5me9t8r7q6p5n4m3k2";

// Computed by `printf 'easycron.trigger.v1\n…' | sha256sum` and Python's base64.b32encode with the alphabet replaced.
test.each([
  ["a date", new Date("2026-03-01T09:00:00Z")],
  ["the text of a webhook", "2026-03-01T09:00:00.000Z"],
])("a trigger's id is computed from the job's uid and the fire time, given as %s", (_name, nominalTime) => {
  expect(triggerId({ jobUid, nominalTime })).toBe("trg_qknmkgaskq0g25p98963fabgmr");
});

test("the id of a manual run depends on its request id", () => {
  const nominalTime = new Date("2026-03-01T09:00:00Z");
  expect(triggerId({ jobUid, nominalTime, requestId: "r-1" })).toBe("trg_r60jr5c296dprywe5jrgsw630g");
});

test("an invalid time throws a RangeError", () => {
  expect(() => triggerId({ jobUid, nominalTime: "today" })).toThrow(RangeError);
});

test("a time that does not exist throws a RangeError", () => {
  expect(() => triggerId({ jobUid, nominalTime: "2027-02-29T09:00:00.000Z" })).toThrow(RangeError);
});
