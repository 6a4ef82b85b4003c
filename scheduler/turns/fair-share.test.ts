import { expect, test } from "vitest";
import { createFairShare } from "./fair-share.ts";

const jobs = (projectId: string, count: number) =>
  Array.from({ length: count }, () => ({ project_id: projectId }));

test("a project that fills a pass is passed over until a pass is not full, and then not", () => {
  const share = createFairShare(() => 0);
  expect(share.passedOver()).toEqual([]);
  share.claimed(jobs("a", 100), 100, 0);
  expect(share.passedOver()).toEqual(["a"]);
  share.claimed([...jobs("b", 60), ...jobs("c", 30), ...jobs("d", 10)], 100, 0);
  expect(share.passedOver()).toEqual(["a", "b", "c"]);
  share.claimed(jobs("e", 3), 100, 0);
  expect(share.passedOver()).toEqual([]);
});

test("projects that share a full pass evenly are not passed over", () => {
  const share = createFairShare(() => 0);
  share.claimed(Array.from({ length: 10 }, (_, index) => jobs(`p${index}`, 10)).flat(), 100, 0);
  expect(share.passedOver()).toEqual([]);
});

test("a project is passed over for a few passes at most, however much the others have due", () => {
  const share = createFairShare(() => 0);
  share.claimed(jobs("a", 100), 100, 0);
  let passes = 0;
  for (; share.passedOver().length > 0; passes++) share.claimed(jobs(`p${passes}`, 100), 100, 0);
  expect(passes).toBeLessThanOrEqual(8);
});

test("what claims that pass a project over take is a fifth of the time at most", () => {
  let nowMs = 0;
  const share = createFairShare(() => nowMs);
  let roundsMs = 0;
  while (nowMs < 10_000) {
    const isRound = share.passedOver().length > 0;
    const tookMs = isRound ? 40 : 1;
    nowMs += tookMs;
    if (isRound) roundsMs += tookMs;
    share.claimed(isRound ? [] : jobs("a", 100), 100, tookMs);
  }
  expect(roundsMs).toBeLessThanOrEqual(2_100);
  expect(roundsMs).toBeGreaterThan(1_000);
});

test("a round ends with a claim that fails, and with one that takes long, however full its passes are", () => {
  for (const end of [
    (share: ReturnType<typeof createFairShare>) => share.endRound(4_000),
    (share: ReturnType<typeof createFairShare>) => share.claimed(jobs("b", 100), 100, 4_000),
  ]) {
    let nowMs = 0;
    const share = createFairShare(() => nowMs);
    share.claimed(jobs("a", 100), 100, 1);
    expect(share.passedOver()).toEqual(["a"]);
    end(share);
    expect(share.passedOver()).toEqual([]);
    nowMs = 15_999;
    share.claimed(jobs("a", 100), 100, 1);
    expect(share.passedOver()).toEqual([]);
    nowMs = 16_000;
    share.claimed(jobs("a", 100), 100, 1);
    expect(share.passedOver()).toEqual(["a"]);
  }
});
