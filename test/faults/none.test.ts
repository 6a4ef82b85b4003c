import { expect, test } from "vitest";
import { nextSecond, openFaultScene } from "./scene.ts";

test("a healthy project is on time, and nothing arrives twice, when there is no fault", async () => {
  await using scene = await openFaultScene();
  const startMs = nextSecond(1_000);
  const lateness = await scene.healthy.between(startMs, startMs + 5_000);
  console.log(`no fault: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ count: 100, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
});
