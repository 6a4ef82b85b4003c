import { describe, expect, test } from "vitest";
import type { Work } from "./lane.ts";
import { createLanes, type Lanes, toLaneLimits } from "./lanes.ts";
import { createSplitLanes } from "./split-lanes.ts";

const limits = toLaneLimits({ total: 8, perLane: 8 });
const partOf = (item: string) => (item.startsWith("a") ? 0 : 1);
const create = () => createSplitLanes([createLanes<string>(limits), createLanes<string>(limits)], partOf);

/** Claims and starts everything that may be, and returns what started. */
function advance(lanes: Lanes<string>): Work<string>[] {
  for (let batch = lanes.takeToClaim(10); batch.length > 0; batch = lanes.takeToClaim(10)) {
    batch.forEach(lanes.claimed);
  }
  const started: Work<string>[] = [];
  for (let work = lanes.takeToStart(); work !== undefined; work = lanes.takeToStart()) started.push(work);
  return started;
}

const countOf = (work: readonly Work<string>[], kind: string) =>
  work.filter(({ item }) => item.startsWith(kind)).length;

describe("split lanes", () => {
  test("start items of one set while another set has used up its places", () => {
    const lanes = create();
    for (let project = 0; project < 100; project++) lanes.add(`b${project}`, `p${project}`, "broker");
    expect(advance(lanes)).toHaveLength(8);
    lanes.add("a1", "p0", "webhook");
    expect(advance(lanes).map(({ item }) => item)).toEqual(["a1"]);
    expect(lanes).toMatchObject({ size: 101, inFlight: 9 });
  });

  test("share a batch of claims, and use all of it when one set has few", () => {
    const lanes = create();
    for (let project = 0; project < 100; project++) lanes.add(`b${project}`, `p${project}`, "broker");
    for (let project = 0; project < 100; project++) lanes.add(`a${project}`, `p${project}`, "webhook");
    const batch = lanes.takeToClaim(10);
    expect([countOf(batch, "a"), countOf(batch, "b")]).toEqual([5, 5]);
    const uneven = create();
    for (let project = 0; project < 100; project++) uneven.add(`b${project}`, `p${project}`, "broker");
    uneven.add("a1", "p", "webhook");
    expect(uneven.takeToClaim(10)).toHaveLength(10);
    expect(uneven.takeToClaim(0)).toHaveLength(0);
  });

  test("start items of the sets in turn", () => {
    const lanes = create();
    for (let project = 0; project < 4; project++) {
      lanes.add(`b${project}`, `p${project}`, "broker");
      lanes.add(`a${project}`, `p${project}`, "webhook");
    }
    lanes.takeToClaim(8).forEach(lanes.claimed);
    const first = [1, 2, 3, 4].flatMap(() => lanes.takeToStart() ?? []);
    expect([countOf(first, "a"), countOf(first, "b")]).toEqual([2, 2]);
  });

  test("count, refuse, put back, end and clear the items of every set", () => {
    const lanes = create();
    for (const item of ["a1", "b1", "a2", "b2", "a3", "b3"]) lanes.add(item, "p", item.slice(0, 1));
    const [a, b, ...rest] = lanes.takeToClaim(4);
    if (a === undefined || b === undefined) throw new Error("nothing was claimed");
    lanes.refused(a);
    lanes.unclaimed(b);
    rest.forEach(lanes.claimed);
    const started = lanes.takeToStart();
    if (started === undefined) throw new Error("nothing was started");
    expect(lanes).toMatchObject({ size: 5, inFlight: 1 });
    lanes.ended(started);
    expect(lanes).toMatchObject({ size: 4, inFlight: 0 });
    const { waiting, ready } = lanes.clear();
    expect([...waiting, ...ready]).toHaveLength(4);
    expect(lanes.size).toBe(0);
  });
});
