import { describe, expect, test } from "vitest";
import type { HeldTrigger, TriggerKindName } from "./held-trigger.ts";
import { createHolding } from "./holding.ts";

let made = 0;

function triggerOf(kind: TriggerKindName, change: Partial<HeldTrigger> = {}): HeldTrigger {
  made += 1;
  return {
    id: `trg_${made}`,
    fireTimeMs: 0,
    effectiveTimeMs: 0,
    projectId: "proj_1",
    jobUid: "job_1",
    jobName: "job",
    revision: 1,
    kind,
    seq: 1,
    previousFireTimeMs: null,
    nextFireTimeMs: null,
    previousSkipped: 0,
    previousMissed: 0,
    payload: null,
    attemptBase: 0,
    dueTimeMs: 0,
    attemptCount: 0,
    ...change,
  };
}

describe("a project", () => {
  test("is crowded for late triggers at half of the limit for all triggers", () => {
    const holding = createHolding(6);
    for (let each = 0; each < 3; each++) {
      expect(holding.isCrowded(triggerOf("CATCHUP"))).toBe(false);
      holding.add(triggerOf(each === 0 ? "BACKFILL" : "CATCHUP"));
    }
    const again = triggerOf("SCHEDULED", { attemptBase: 1, attemptCount: 1 });
    expect([triggerOf("CATCHUP"), triggerOf("BACKFILL"), again].map(holding.isCrowded)).toEqual([
      true,
      true,
      true,
    ]);
    expect(holding.crowded()).toEqual({ all: [], late: ["proj_1"] });
    expect(holding.isCrowded(triggerOf("CATCHUP", { projectId: "proj_2" }))).toBe(false);
    for (let each = 0; each < 3; each++) {
      expect(holding.isCrowded(triggerOf("SCHEDULED"))).toBe(false);
      holding.add(triggerOf("SCHEDULED"));
    }
    expect(holding.isCrowded(triggerOf("SCHEDULED"))).toBe(true);
    expect(holding.crowded()).toEqual({ all: ["proj_1"], late: ["proj_1"] });
  });

  test("is no longer crowded when its triggers are dropped or replaced by a copy that is on time", () => {
    const holding = createHolding(2);
    const first = triggerOf("CATCHUP");
    holding.add(first);
    expect(holding.crowded().late).toEqual(["proj_1"]);
    const anew = { ...first, kind: "SCHEDULED" as const, revision: 2 };
    expect(holding.add(anew)).toBe(true);
    expect(holding.crowded()).toEqual({ all: [], late: [] });
    holding.drop(first);
    expect(holding.size).toBe(1);
    holding.drop(anew);
    expect(holding.size).toBe(0);
  });
});
