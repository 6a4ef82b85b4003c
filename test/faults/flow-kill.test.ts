import { afterAll, beforeAll, expect, test } from "vitest";
import { pause } from "../../mesh/pause.ts";
import { webhook } from "../../sdk/index.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../support/redis.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

const MAX_IN_FLIGHT = 4;
const RUNS = 12;

let redis: TestRedis;
let scene: FaultScene;
beforeAll(async () => {
  if (!hasRedis()) return;
  redis = await startTestRedis();
  scene = await openFaultScene({ dispatchers: 2, env: { REDIS_URL: redis.url } });
});
afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
  await redis?.stop();
});

test.runIf(hasRedis())(
  "the places of a flow key that dispatchers hold are given back when they are killed, and its limit holds for all of them",
  async () => {
    const { client, receiver } = scene.troubled;
    // What was in flight at a process that was killed counts no more.
    let [era, count, most] = [0, 0, 0];
    const mayAnswer = Promise.withResolvers<void>();
    receiver.answer("/held", async () => {
      const own = era;
      count += 1;
      most = Math.max(most, count);
      await mayAnswer.promise;
      await pause(50);
      if (own === era) count -= 1;
      return { status: 200 };
    });
    const [flow, target] = [{ key: "crm", maxInFlight: MAX_IN_FLIGHT }, webhook(`${receiver.url}/held`)];
    for (const name of ["held-one", "held-two"]) await client.jobs.create({ name, target, flow });
    const runs = await Promise.all(
      Array.from({ length: RUNS }, (_, index) => client.jobs.run(index % 2 === 0 ? "held-one" : "held-two")),
    );
    const inFlight = () => expect.poll(() => count, { timeout: 60_000 }).toBe(MAX_IN_FLIGHT);
    await inFlight();
    const startMs = nextSecond();
    await Promise.all([0, 1].map((index) => scene.mesh.kill9("dispatcher", index)));
    [era, count] = [era + 1, 0];
    await inFlight();
    mayAnswer.resolve();
    for (const { id } of runs) {
      await expect
        .poll(async () => (await client.triggers.get(id)).state, { timeout: 60_000 })
        .toBe("SUCCEEDED");
    }
    expect(most).toBe(MAX_IN_FLIGHT);
    // One attempt of each place was lost, and made again.
    expect(receiver.requests.filter(({ path }) => path === "/held")).toHaveLength(RUNS + MAX_IN_FLIGHT);
    await scene.healthy.between(startMs, nextSecond());
  },
);
