import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TrackName, Work } from "./lane.ts";
import { createLanes, type LaneLimits, type Lanes, toLaneLimits } from "./lanes.ts";

const limits: LaneLimits = { total: 64, perLane: 4, claimedPerLane: 8, claimedTotal: 200 };

/** Claims everything that may be claimed, starts everything that may be started, and returns what started. */
function advance(lanes: Lanes<string>): Work<string>[] {
  for (let batch = lanes.takeToClaim(10); batch.length > 0; batch = lanes.takeToClaim(10)) {
    batch.forEach(lanes.claimed);
  }
  const started: Work<string>[] = [];
  for (let work = lanes.takeToStart(); work !== undefined; work = lanes.takeToStart()) started.push(work);
  return started;
}

const itemsOf = (work: readonly Work<string>[]) => work.map(({ item }) => item);

describe("lanes", () => {
  test("start as many items of one destination as its limit allows, and do not hold up other destinations", () => {
    const lanes = createLanes<string>(limits);
    for (let each = 0; each < 30; each++) lanes.add(`slow ${each}`, "p", "slow");
    lanes.add("quick", "p", "quick");
    lanes.add("other", "q", "slow");
    expect(itemsOf(advance(lanes)).toSorted()).toEqual([
      "other",
      "quick",
      "slow 0",
      "slow 1",
      "slow 2",
      "slow 3",
    ]);
  });

  test("do not claim more items for a slow destination than can start at once", () => {
    const lanes = createLanes<string>(limits, () => 0);
    for (let each = 0; each < 100; each++) lanes.add(`${each}`, "p", "slow");
    expect(advance(lanes)).toHaveLength(4);
    expect(lanes.takeToClaim(6)).toHaveLength(0);
  });

  test("claim ahead for a quick destination as many items as it has ended lately, up to a limit", () => {
    let now = 0;
    const lanes = createLanes<string>(limits, () => now);
    for (let each = 0; each < 100; each++) lanes.add(`${each}`, "p", "quick");
    const endAll = () => advance(lanes).forEach(lanes.ended);
    endAll();
    expect(lanes.takeToClaim(100).map(lanes.unclaimed)).toHaveLength(8);
    now = 1_000;
    const [one] = advance(lanes);
    expect(one).toBeDefined();
    expect(lanes.takeToClaim(100)).toHaveLength(0);
  });

  test("start an item on time at once, even when late items use all places that they may use", () => {
    const lanes = createLanes<string>(limits, () => 0);
    for (let each = 0; each < 100; each++) lanes.add(`late ${each}`, "p", "slow", "late");
    expect(itemsOf(advance(lanes))).toEqual(["late 0", "late 1"]);
    for (let each = 0; each < 3; each++) lanes.add(`on time ${each}`, "p", "slow");
    expect(itemsOf(advance(lanes))).toEqual(["on time 0", "on time 1"]);
    expect(lanes.inFlight).toBe(limits.perLane);
  });

  test("keep half of a project's slots, and half of all slots, for items on time", () => {
    const lanes = createLanes<string>(limits, () => 0);
    for (let lane = 0; lane < 50; lane++) {
      for (let each = 0; each < 10; each++) lanes.add("late", "p", `slow ${lane}`, "late");
    }
    expect(advance(lanes)).toHaveLength(8);
    for (let project = 0; project < 10; project++) {
      for (let lane = 0; lane < 10; lane++) lanes.add("late", `p${project}`, `slow ${lane}`, "late");
    }
    expect(advance(lanes)).toHaveLength(24);
    for (let each = 0; each < 7; each++) lanes.add("mine", "p", `other ${each}`);
    expect(itemsOf(advance(lanes))).toEqual(Array.from({ length: 7 }, () => "mine"));
  });

  test("start no late item while one on time waits, and all late items in the end", () => {
    const lanes = createLanes<string>(limits, () => 0);
    for (let each = 0; each < 10; each++) lanes.add("late", "p", "slow", "late");
    for (let each = 0; each < 20; each++) lanes.add("on time", "p", "slow");
    const seen: string[] = [];
    for (let inFlight = advance(lanes); inFlight.length > 0; inFlight = advance(lanes)) {
      expect(inFlight.length).toBeLessThanOrEqual(limits.perLane);
      seen.push(...itemsOf(inFlight));
      inFlight.forEach(lanes.ended);
    }
    expect(seen.lastIndexOf("on time")).toBeLessThan(seen.indexOf("late"));
    expect(seen).toHaveLength(30);
    expect(lanes.size).toBe(0);
  });

  test("claim a retry only when no first attempt waits, but one after every eight first attempts", () => {
    const lanes = createLanes<string>({ ...limits, perLane: 1, claimedPerLane: 1 }, () => 0);
    for (let each = 0; each < 4; each++) lanes.add("retry", "p", "slow", "retry");
    for (let each = 0; each < 20; each++) lanes.add("first", "p", "slow");
    lanes.add("late", "p", "slow", "late");
    const seen: string[] = [];
    for (let inFlight = advance(lanes); inFlight.length > 0; inFlight = advance(lanes)) {
      expect(inFlight).toHaveLength(1);
      seen.push(...itemsOf(inFlight));
      inFlight.forEach(lanes.ended);
    }
    // The first retry is claimed before a first attempt has come.
    const eight = Array.from({ length: 8 }, () => "first");
    const rest = ["first", "first", "first", "first", "retry", "retry", "late"];
    expect(seen).toEqual([...eight, "retry", ...eight, "retry", ...rest]);
  });

  test("give a destination that has asked for less fewer places, and more again later", () => {
    let places: number | undefined = 2;
    const lanes = createLanes<string>(
      limits,
      () => 0,
      (_, destination) => (destination === "busy" ? places : undefined),
    );
    for (let each = 0; each < 20; each++) lanes.add("busy", "p", "busy");
    for (let each = 0; each < 20; each++) lanes.add("other", "p", "other");
    expect(itemsOf(advance(lanes)).toSorted()).toEqual(["busy", "busy", "other", "other", "other", "other"]);
    places = undefined;
    lanes.adapt("p", "busy");
    expect(itemsOf(advance(lanes))).toEqual(["busy", "busy"]);
  });

  test("give the projects turns, so that one with many destinations does not fill a batch before the others", () => {
    const lanes = createLanes<string>(limits);
    for (let lane = 0; lane < 50; lane++) lanes.add("many", "p", `d${lane}`);
    lanes.add("one", "q", "d");
    expect(itemsOf(lanes.takeToClaim(10)).slice(0, 2)).toEqual(["many", "one"]);
  });

  test("start an item on time before a late item that was claimed earlier", () => {
    const lanes = createLanes<string>({ ...limits, perLane: 2 }, () => 0);
    lanes.add("late", "p", "slow", "late");
    lanes.takeToClaim(10).forEach(lanes.claimed);
    lanes.add("on time", "p", "slow");
    lanes.takeToClaim(10).forEach(lanes.claimed);
    expect([lanes.takeToStart()?.item, lanes.takeToStart()?.item]).toEqual(["on time", "late"]);
  });

  test("share a batch of claims among the destinations", () => {
    const lanes = createLanes<string>(limits);
    for (let each = 0; each < 100; each++) lanes.add(`long ${each}`, "p", "long");
    for (let each = 0; each < 3; each++) lanes.add(`short ${each}`, "p", `short ${each}`);
    const batch = itemsOf(lanes.takeToClaim(8));
    expect(batch.slice(0, 5)).toEqual(["long 0", "long 1", "short 0", "short 1", "short 2"]);
    expect(batch).toHaveLength(7);
  });

  test("keep slots for other projects when one has many dead destinations", () => {
    const lanes = createLanes<string>(limits);
    for (let lane = 0; lane < 50; lane++) {
      for (let each = 0; each < 10; each++) lanes.add("dead", "hog", `dead ${lane}`);
    }
    expect(advance(lanes)).toHaveLength(16);
    lanes.add("mine", "other", "alive");
    expect(itemsOf(advance(lanes))).toEqual(["mine"]);
  });

  test("give the last slots to projects that use few", () => {
    const lanes = createLanes<string>(limits);
    for (let project = 0; project < 4; project++) {
      for (let each = 0; each < 100; each++) lanes.add("hog", `hog ${project}`, `dead ${each}`);
    }
    expect(advance(lanes)).toHaveLength(56);
    for (let each = 0; each < 20; each++) lanes.add("mine", "other", `alive ${each}`);
    expect(itemsOf(advance(lanes))).toEqual(Array.from({ length: 8 }, () => "mine"));
  });

  test("start the next items of a project as soon as it uses few slots again, when others use the rest", () => {
    const lanes = createLanes<string>(limits);
    for (let project = 0; project < 4; project++) {
      for (let each = 0; each < 100; each++) lanes.add("hog", `hog ${project}`, `dead ${each}`);
    }
    expect(advance(lanes)).toHaveLength(56);
    for (let each = 0; each < 20; each++) lanes.add("mine", "other", `alive ${each}`);
    for (const count of [8, 8, 4]) {
      const mine = advance(lanes);
      expect(itemsOf(mine)).toEqual(Array.from({ length: count }, () => "mine"));
      mine.forEach(lanes.ended);
    }
  });

  test("start a project's items at once when a thousand others have eight hung requests each", () => {
    const lanes = createLanes<string>(toLaneLimits({ total: 8_192, perLane: 64 }));
    for (let project = 0; project < 1_000; project++) {
      for (let each = 0; each < 8; each++) lanes.add("hung", `p${project}`, "hung");
    }
    // A round claims as many as may be claimed at once, and starts them.
    const rounds = [advance(lanes), advance(lanes), advance(lanes)].map(({ length }) => length);
    expect(rounds).toEqual([4_096, 3_904, 0]);
    for (let each = 0; each < 20; each++) lanes.add("mine", "other", "alive");
    const first = advance(lanes);
    expect(itemsOf(first)).toEqual(Array.from({ length: 8 }, () => "mine"));
    first.forEach(lanes.ended);
    expect(itemsOf(advance(lanes))).toEqual(Array.from({ length: 8 }, () => "mine"));
  });

  test("start waiting items when slots become free, until every item has been started", () => {
    const lanes = createLanes<string>(limits);
    for (let lane = 0; lane < 40; lane++) {
      for (let each = 0; each < 9; each++)
        lanes.add(`${lane}/${each}`, `p${lane % 3}`, `d${lane}`, each % 3 === 0 ? "late" : "first");
    }
    const seen: string[] = [];
    for (let inFlight = advance(lanes); inFlight.length > 0; inFlight = advance(lanes)) {
      seen.push(...itemsOf(inFlight));
      inFlight.forEach(lanes.ended);
    }
    expect(new Set(seen).size).toBe(360);
    expect(lanes.size).toBe(0);
  });

  test("remove waiting and ready items when they are cleared, and no others", () => {
    const lanes = createLanes<string>(limits);
    for (let each = 0; each < 12; each++) lanes.add(`${each}`, "p", "d");
    const [first, ...rest] = lanes.takeToClaim(6);
    rest.forEach(lanes.claimed);
    const inFlight = lanes.takeToStart();
    const { waiting, ready } = lanes.clear();
    expect(ready).toEqual(["2", "3"]);
    expect(waiting).toEqual(["4", "5", "6", "7", "8", "9", "10", "11"]);
    expect(lanes.size).toBe(2);
    if (first !== undefined) lanes.refused(first);
    if (inFlight !== undefined) lanes.ended(inFlight);
    expect(lanes.size).toBe(0);
  });

  test("never exceed a limit and never miscount, in any order of events", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("add" as const),
        project: fc.nat(3),
        lane: fc.nat(5),
        name: fc.constantFrom<TrackName>("first", "retry", "late"),
      }),
      fc.record({ kind: fc.constantFrom("claim", "start", "refuse", "unclaim", "end", "clear") }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const small = { total: 8, perLane: 2, claimedPerLane: 3, claimedTotal: 9 };
        const lanes = createLanes<string>(small);
        let inside = 0;
        const claiming: Work<string>[] = [];
        const inFlight: Work<string>[] = [];
        for (const each of steps) {
          if ("project" in each) {
            lanes.add("x", `p${each.project}`, `d${each.lane}`, each.name);
            inside += 1;
          } else if (each.kind === "claim") claiming.push(...lanes.takeToClaim(3));
          else if (each.kind === "start") {
            for (const work of claiming.splice(0)) lanes.claimed(work);
            const work = lanes.takeToStart();
            if (work !== undefined) inFlight.push(work);
          } else if (each.kind === "clear") {
            const { waiting, ready } = lanes.clear();
            inside -= waiting.length + ready.length;
          } else {
            const queue = each.kind === "end" ? inFlight : claiming;
            const work = queue.shift();
            if (work === undefined) continue;
            if (each.kind === "end") lanes.ended(work);
            else if (each.kind === "refuse") lanes.refused(work);
            else lanes.unclaimed(work);
            if (each.kind !== "unclaim") inside -= 1;
          }
          expect(lanes.size).toBe(inside);
          expect(lanes.inFlight).toBe(inFlight.length);
          expect(inFlight.length).toBeLessThanOrEqual(small.total);
          const perLane = Map.groupBy(inFlight, ({ track }) => track.lane.key);
          expect(Math.max(0, ...[...perLane.values()].map(({ length }) => length))).toBeLessThanOrEqual(2);
          const late = Map.groupBy(
            inFlight.filter(({ track }) => track.isLate),
            ({ track }) => track.lane.key,
          );
          expect(Math.max(0, ...[...late.values()].map(({ length }) => length))).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
