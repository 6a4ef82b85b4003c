import { expect, test } from "vitest";
import { parseAlert } from "./job-alert.ts";

const ALERT = {
  type: "job.not_delivered",
  timestamp: "2026-03-01T09:05:00.000Z",
  data: {
    project: "proj_1",
    job: { name: "billing", uid: "job_1", revision: 1 },
    since: "2026-03-01T09:05:00.000Z",
    count: 1,
    nominalTimes: ["2026-03-01T09:00:00.000Z"],
    triggers: [],
    message: "It was not delivered.",
  },
};

test("parseAlert returns an alert as it is", () => {
  expect(parseAlert(ALERT)).toBe(ALERT);
});

test.each([
  ["a trigger", { ...ALERT, type: "trigger.fired" }],
  ["an event that it does not know", { ...ALERT, type: "job.exploded" }],
  ["a document without data", { type: ALERT.type, timestamp: ALERT.timestamp }],
  ["a document without a job", { ...ALERT, data: { ...ALERT.data, job: undefined } }],
  ["a document without triggers", { ...ALERT, data: { ...ALERT.data, triggers: undefined } }],
  ["a text", "job.not_delivered"],
  ["nothing", undefined],
])("parseAlert does not take %s for an alert", (_, body) => {
  expect(parseAlert(body)).toBeUndefined();
});
