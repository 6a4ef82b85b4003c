import { expect, test } from "vitest";
import type { AttemptParts } from "../delivery/attempt.ts";
import { toSpec } from "../delivery/spec.ts";
import { createEvents } from "../events/events.ts";
import type { Results } from "../results/results.ts";
import { heldTrigger } from "../testing/held.ts";
import type { Admission } from "./admission.ts";
import type { DueLanes, LaneWork } from "./due-work.ts";
import { createStarter } from "./starter.ts";

const ATTEMPTS = 20_000;

test("thousands of attempts may fail at once, one after the other, because of an error of this program", async () => {
  const text = JSON.stringify({ target: { webhook: { url: "http://127.0.0.1:1/" } }, attemptTimeout: "5s" });
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
  const work = { item: { trigger: heldTrigger(0), spec } } as LaneWork;
  const fail = (): never => {
    throw new Error("a bug");
  };
  let [started, inFlight] = [0, 0];
  // Of each part, what a starter uses.
  const lanes: Pick<DueLanes, "takeToStart" | "ended"> = {
    takeToStart: () => {
      if (started === ATTEMPTS) return undefined;
      started += 1;
      inFlight += 1;
      return work;
    },
    ended: () => {
      inFlight -= 1;
    },
  };
  const outcomes: string[] = [];
  const results: Pick<Results, "add"> = {
    add: ({ delivery }) => void outcomes.push(delivery.outcome.kind),
  };
  await new Promise<void>((resolve) => {
    const starter = createStarter({
      clock: { now: () => 0 },
      random: () => 0,
      events: createEvents(),
      lease: { instance: "inst_1", isValid: () => true, renew: async () => {}, beat: async () => {} },
      lanes: lanes as DueLanes,
      admission: { started: () => {}, ended: () => {} } as unknown as Admission,
      attempt: { signingKeys: { get: fail } } as unknown as AttemptParts,
      results: results as Results,
      mayStart: () => inFlight === 0,
      onEnded: () => {
        if (outcomes.length === ATTEMPTS) resolve();
        else starter.start();
      },
    });
    starter.start();
  });
  expect(new Set(outcomes)).toEqual(new Set(["UNKNOWN"]));
});

test("the result of an attempt is kept before its trace is recorded", async () => {
  const text = JSON.stringify({ target: { webhook: { url: "http://127.0.0.1:1/" } }, attemptTimeout: "5s" });
  const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
  const waiting = [{ item: { trigger: heldTrigger(0), spec } } as LaneWork];
  const steps: string[] = [];
  const step = (name: string) => () => void steps.push(name);
  const lanes = { takeToStart: () => waiting.pop(), ended: step("ended") };
  const none = () => {};
  await new Promise<void>((resolve) => {
    createStarter({
      clock: { now: () => 0 },
      random: () => 0,
      events: createEvents(),
      lease: { instance: "inst_1", isValid: () => true, renew: async () => {}, beat: async () => {} },
      lanes: lanes as unknown as DueLanes,
      admission: { started: none, ended: none } as unknown as Admission,
      attempt: { signingKeys: { get: () => [] } } as unknown as AttemptParts,
      results: { add: step("kept") } as unknown as Results,
      traces: { accepted: none, claimed: none, attempted: step("traced"), recorded: none },
      mayStart: () => true,
      onEnded: resolve,
    }).start();
  });
  expect(steps).toEqual(["kept", "ended", "traced"]);
});
