import { describe, expect, test } from "vitest";
import { BASE_BYTES, FEW_BYTES } from "./held-bytes.ts";
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
    waitingFor: null,
    waitingSinceMs: null,
    dueTimeMs: 0,
    attemptCount: 0,
    ...change,
  };
}

/** What a trigger of `triggerOf` uses. */
const EACH = BASE_BYTES + "job".length;

describe("a project", () => {
  test("is crowded for late triggers at half of the limit for all triggers", () => {
    const holding = createHolding({ projectBytes: 6 * EACH, totalBytes: 100 * EACH });
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
    expect(holding.crowded()).toEqual({ all: [], late: ["proj_1"], noLate: false });
    expect(holding.isCrowded(triggerOf("CATCHUP", { projectId: "proj_2" }))).toBe(false);
    for (let each = 0; each < 3; each++) {
      expect(holding.isCrowded(triggerOf("SCHEDULED"))).toBe(false);
      holding.add(triggerOf("SCHEDULED"));
    }
    expect(holding.isCrowded(triggerOf("SCHEDULED"))).toBe(true);
    expect(holding.crowded()).toEqual({ all: ["proj_1"], late: ["proj_1"], noLate: false });
  });

  test("is crowded by large payloads sooner than by many triggers", () => {
    const holding = createHolding({ projectBytes: 100 * EACH, totalBytes: 1_000 * EACH });
    holding.add(triggerOf("MANUAL", { payload: "x".repeat(99 * EACH) }));
    expect(holding.isCrowded(triggerOf("SCHEDULED"))).toBe(true);
  });

  test("is no longer crowded when its triggers are dropped or replaced by a copy that is on time", () => {
    const holding = createHolding({ projectBytes: 2 * EACH, totalBytes: 100 * EACH });
    const first = triggerOf("CATCHUP");
    holding.add(first);
    expect(holding.crowded().late).toEqual(["proj_1"]);
    const anew = { ...first, kind: "SCHEDULED" as const, revision: 2 };
    expect(holding.add(anew)).toBe(true);
    expect(holding.crowded()).toEqual({ all: [], late: [], noLate: false });
    holding.drop(first);
    expect(holding.size).toBe(1);
    holding.drop(anew);
    expect(holding.size).toBe(0);
  });
});

describe("all projects together", () => {
  const large = (projectId: string, kind: TriggerKindName = "SCHEDULED") =>
    triggerOf(kind, { projectId, payload: "x".repeat(FEW_BYTES) });

  test("leave the last eighth of all memory to projects that use little of it", () => {
    const holding = createHolding({ projectBytes: 64 * FEW_BYTES, totalBytes: 16 * FEW_BYTES });
    for (let each = 0; each < 14; each++) holding.add(large("proj_hog"));
    expect(holding.isCrowded(large("proj_hog"))).toBe(true);
    expect(holding.crowded()).toEqual({ all: ["proj_hog"], late: [], noLate: false });
    expect(holding.isCrowded(triggerOf("SCHEDULED", { projectId: "proj_small" }))).toBe(false);
    expect(holding.hasRoom()).toBe(true);
    for (const projectId of ["proj_2", "proj_3"]) holding.add(large(projectId));
    expect(holding.isCrowded(triggerOf("SCHEDULED", { projectId: "proj_small" }))).toBe(true);
    expect(holding.hasRoom()).toBe(false);
  });

  test("use at most half of all memory for late triggers", () => {
    const holding = createHolding({ projectBytes: 64 * FEW_BYTES, totalBytes: 16 * FEW_BYTES });
    for (let each = 0; each < 8; each++) holding.add(large(`proj_${each}`, "CATCHUP"));
    expect(holding.isCrowded(triggerOf("BACKFILL", { projectId: "proj_new" }))).toBe(true);
    expect(holding.crowded().noLate).toBe(true);
    expect(holding.isCrowded(triggerOf("SCHEDULED", { projectId: "proj_new" }))).toBe(false);
  });
});
