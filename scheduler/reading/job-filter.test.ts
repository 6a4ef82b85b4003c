import { describe, expect, test } from "vitest";
import { EVERY_JOB, filterOfLabels, parseJobFilter } from "./job-filter.ts";

describe("a filter", () => {
  test.each([
    ["", {}],
    ["  ", {}],
    ["state = PAUSED", { states: ["PAUSED"] }],
    ['state="JOB_STATE_PAUSED"', { states: ["PAUSED"] }],
    ["state != PAUSED", { states: ["ACTIVE", "DISABLED", "FINISHED"] }],
    ["state != PAUSED AND state != FINISHED", { states: ["ACTIVE", "DISABLED"] }],
    ["state = PAUSED AND state = ACTIVE", { states: [] }],
    ["name = payroll", { names: ["payroll"] }],
    ['name = "pay*"', { prefixes: ["pay"] }],
    ["name = p* AND name = pay-2.x*", { prefixes: ["p", "pay-2.x"] }],
    ["name = *", { prefixes: [""] }],
    ['labels.team = "billing"', { labels: [["team", "billing"]] }],
    ['labels.a.b-c="AND \\"x\\" \\\\ "', { labels: [["a.b-c", 'AND "x" \\ ']] }],
    ['labels.team = ""', { labels: [["team", ""]] }],
    ["labels.team:*", { labelKeys: ["team"] }],
    ['target = "kafka"', { targets: ["kafka"] }],
    ["target != webhook", { targets: ["redis", "kafka"] }],
    [
      'state = ACTIVE AND labels.team = "billing"\n AND labels.env:* AND name = "pay*"',
      { states: ["ACTIVE"], labels: [["team", "billing"]], labelKeys: ["env"], prefixes: ["pay"] },
    ],
  ])("%j is read", (text, parts) => {
    expect(parseJobFilter(text)).toEqual({ ...EVERY_JOB, ...parts });
  });

  test.each([
    ["state", 6, "its end"],
    ["state =", 8, "its end"],
    ["state = PAUSED AND", 19, "its end"],
    ["state = PAUSED OR state = ACTIVE", 16, "OR is not AND"],
    ["state = PAUSED and state = ACTIVE", 16, "and is not AND"],
    ["state = NOT", 9, "NOT is not a value"],
    ["AND state = PAUSED", 1, "AND is not a field"],
    ["NOT state = PAUSED", 1, "NOT is not a field"],
    ["-state = PAUSED", 1, "-state is not a field"],
    ["(state = PAUSED)", 1, "cannot be read"],
    ["state = DELETED", 9, "DELETED is not one of ACTIVE, PAUSED, DISABLED, FINISHED"],
    ["state = paused", 9, "paused is not one of"],
    ["state : PAUSED", 7, "is allowed for labels only"],
    ["state > PAUSED", 7, "cannot be read"],
    ["name != payroll", 6, "!= is not allowed for name"],
    ["name = *pay", 8, "*pay has a *"],
    ["name = p*y*", 8, "p*y* has a *"],
    ["labels = x", 1, "labels is not a field"],
    ["labels. = x", 1, "labels. is not a field"],
    ["labels.Team = x", 1, "labels.Team is not a label key"],
    ["labels.team != x", 13, "!= is not allowed for a label"],
    ["labels.team:x", 13, "x is not *"],
    ['labels.team = "bill*"', 15, "has a *"],
    ['labels.team = "bill', 15, "cannot be read"],
    ['labels.team = "a\nb"', 15, "cannot be read"],
    ["target = smtp", 10, "smtp is not one of webhook, redis, kafka"],
    ["payload = x", 1, "payload is not a field"],
    [`state = PAUSED ${"x".repeat(400)}`, 16, "xxx… is not AND"],
  ])("%j is refused, and it is said where and what is accepted", (text, position, problem) => {
    const refused = () => parseJobFilter(text);
    expect(refused).toThrow(expect.objectContaining({ reason: "FIELD_INVALID" }));
    expect(refused).toThrow(`filter: at character ${position}, `);
    expect(refused).toThrow(problem);
    expect(refused).toThrow("accepted, joined by AND: ");
    expect(refused).toThrow('labels.team = "billing", labels.team:*, target = "webhook".');
  });

  test("with several labels requires all of them", () => {
    expect(filterOfLabels({ a: "b*", c: "" })).toEqual({
      ...EVERY_JOB,
      labels: [
        ["a", "b*"],
        ["c", ""],
      ],
    });
  });
});
