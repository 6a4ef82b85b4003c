import { describe, expect, test } from "vitest";
import { ALERT_EVENTS, type AlertEventName } from "./alert-rule.ts";
import { type AlertState, decideAlerts } from "./decide.ts";
import { alertId, toAlertDocument } from "./document.ts";
import type { Fact } from "./fact.ts";

const CALM: AlertState = { told: new Set(), sinceMs: null };
const fact = (kind: Fact["kind"], timeMs: number): Fact => {
  const triggers = [{ id: `trg_${timeMs}`, nominalMs: timeMs, attempts: 4 }];
  return { kind, cause: `${timeMs}`, timeMs, fireTimesMs: [timeMs], count: 1, triggers, reason: "" };
};
/** Decides about facts and a success, and returns the events in order, and the state after them. */
function decide(
  facts: readonly Fact[],
  { successMs = null, state = CALM, events = ALERT_EVENTS }: Partial<Given> = {},
) {
  const decided = decideAlerts({ rule: { events: new Set(events) }, state, facts, successMs });
  return { events: decided.drafts.map(({ event }) => event), state: decided.state, drafts: decided.drafts };
}
interface Given {
  readonly successMs: number | null;
  readonly state: AlertState;
  readonly events: readonly AlertEventName[];
}

describe("the decision about alerts", () => {
  test("reports each kind of trouble once until the job has recovered", () => {
    const first = decide([fact("FAILING", 1), fact("EXHAUSTED", 2), fact("EXHAUSTED", 3)]);
    expect(first.events).toEqual(["FAILING", "EXHAUSTED"]);
    expect(first.state).toEqual({ told: new Set(["FAILING", "EXHAUSTED"]), sinceMs: 1 });
    const second = decide([fact("EXHAUSTED", 4), fact("NOT_DELIVERED", 5)], { state: first.state });
    expect(second.events).toEqual(["NOT_DELIVERED"]);
    const third = decide([], { state: second.state, successMs: 6 });
    expect(third.events).toEqual(["RECOVERED"]);
    expect(third.state).toEqual(CALM);
    expect(decide([fact("EXHAUSTED", 7)], { state: third.state }).events).toEqual(["EXHAUSTED"]);
  });

  test("puts a success between what happened before it and after it, whatever is looked at together", () => {
    const facts = [fact("EXHAUSTED", 9), fact("EXHAUSTED", 1)];
    const { events, state } = decide(facts, { successMs: 5 });
    expect(events).toEqual(["EXHAUSTED", "RECOVERED", "EXHAUSTED"]);
    expect(state).toEqual({ told: new Set(["EXHAUSTED"]), sinceMs: 9 });
    expect(decide([fact("EXHAUSTED", 9)], { successMs: 5 }).events).toEqual(["EXHAUSTED"]);
  });

  test("reports nothing that the customer does not want, and a recovery only from what they want", () => {
    const events = ["EXHAUSTED", "RECOVERED"] as const;
    const failing = decide([fact("FAILING", 1)], { events });
    expect([failing.events, failing.state]).toEqual([[], CALM]);
    expect(decide([], { events, state: failing.state, successMs: 2 }).events).toEqual([]);
    const only = ["RECOVERED"] as const;
    const { state } = decide([fact("FAILING", 1)], { events: only });
    expect(decide([], { events: only, state, successMs: 2 }).events).toEqual(["RECOVERED"]);
  });

  test("puts all missed fire times into one alert, and each disabling into one of its own", () => {
    const facts = [fact("MISSED", 1), fact("MISSED", 2), fact("DISABLED", 3), fact("DISABLED", 4)];
    const { events, drafts, state } = decide(facts);
    expect(events).toEqual(["MISSED", "DISABLED", "DISABLED"]);
    expect(drafts[0]?.facts).toHaveLength(2);
    expect(state).toEqual(CALM);
  });

  test("gives the same alert the same id when it is decided again, and other alerts other ids", () => {
    const ids = [fact("EXHAUSTED", 1), fact("EXHAUSTED", 1), fact("EXHAUSTED", 2), fact("FAILING", 1)].map(
      (one) => decide([one]).drafts.map((draft) => alertId("job_1", draft))[0],
    );
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(3);
    expect(alertId("job_2", { event: "EXHAUSTED", cause: "1" })).not.toBe(ids[0]);
  });
});

describe("the document of an alert", () => {
  const job = { projectId: "proj_1", uid: "job_1", name: "payroll", revision: 3, withinMs: 300_000 };
  test.each(ALERT_EVENTS)("of %s says in words what has happened to which job", (event) => {
    const kind = event === "RECOVERED" ? "EXHAUSTED" : event;
    const draft = { event, cause: "c", timeMs: 2_000, sinceMs: 1_000, facts: [fact(kind, 1_000)] };
    const document = JSON.parse(toAlertDocument(job, draft));
    expect(document).toMatchObject({
      type: `job.${event.toLowerCase()}`,
      timestamp: "1970-01-01T00:00:02.000Z",
      data: {
        project: "proj_1",
        job: { name: "payroll", uid: "job_1", revision: 3 },
        since: "1970-01-01T00:00:01.000Z",
        count: 1,
        nominalTimes: ["1970-01-01T00:00:01.000Z"],
      },
    });
    expect(document.data.message).toMatch(/^[^{}]*"payroll"[^{}]*\.$/);
  });

  test("lists at most ten triggers and fire times, and counts all", () => {
    const facts = Array.from({ length: 30 }, (_, index) => fact("NOT_DELIVERED", index * 1_000));
    const draft = { event: "NOT_DELIVERED" as const, cause: "c", timeMs: 0, sinceMs: 0, facts };
    const { data } = JSON.parse(toAlertDocument(job, draft));
    expect([data.count, data.nominalTimes.length, data.triggers.length]).toEqual([30, 10, 10]);
    expect(data.message).toContain("within 300 s");
  });
});
