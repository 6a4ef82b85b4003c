import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.ts";

const NAMES = ["name", "schedules", "startTime", "endTime", "target", "payload", "retryPolicy", "labels"];

test.each([
  ["nmae", "name"],
  ["schedule", "schedules"],
  ["start_time", "startTime"],
  ["STARTTIME", "startTime"],
  ["paylod", "payload"],
  ["retrypolicies", "retryPolicy"],
  ["label", "labels"],
])("%s probably means %s", (given, meant) => {
  expect(nearestName(given, NAMES)).toBe(meant);
});

test.each(["url", "x", "description", "cron", ""])("%j is near to none of the names", (given) => {
  expect(nearestName(given, NAMES)).toBeUndefined();
});
