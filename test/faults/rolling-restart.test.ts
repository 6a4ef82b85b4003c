import { expect, test } from "vitest";
import type { ServiceName } from "../../dev/config.ts";
import { pause } from "../../mesh/pause.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 100;
const SLOW_JOBS = 4;
const SLOW_MS = 3_000;
/** On an idle machine the worst lateness is below 50 ms; this machine may be busy with other tests. */
const MOST_LATE_MS = 1_000;

const RESTARTS: readonly (readonly [ServiceName, number])[] = [
  ["dispatcher", 0],
  ["scheduler", 0],
  ["gateway", 0],
  ["plugins", 0],
  ["dispatcher", 1],
  ["scheduler", 1],
];

test("nothing is late, missing or delivered twice while every process is restarted, one after the other", async () => {
  await using scene = await openFaultScene({ schedulers: 2, dispatchers: 2, healthyJobs: JOBS });
  const { mesh, healthy, troubled } = scene;
  troubled.receiver.answer("/slow", () => pause(SLOW_MS).then(() => ({ status: 204 })));
  for (let index = 0; index < SLOW_JOBS; index++) {
    const { status } = await troubled.call("JobService/CreateJob", {
      job: {
        name: `slow-${index}`,
        schedules: [{ cron: { expression: "* * * * * *", dialect: "CRON_DIALECT_WITH_SECONDS" } }],
        target: { webhook: { url: `${troubled.receiver.url}/slow` } },
      },
    });
    expect(status).toBe(200);
  }
  await troubled.receiver.waitFor((requests) => requests.length > 0);
  const startMs = nextSecond(3_000);
  const calm = await healthy.between(startMs - 2_000, startMs);
  for (const [service, index] of RESTARTS) {
    await mesh.terminate(service, index);
    await mesh.untilReady(service, index);
  }
  const endMs = nextSecond(2_000);
  const lateness = await healthy.between(startMs, endMs);
  console.log(`rolling restart: ${JSON.stringify(lateness)}; before: ${JSON.stringify(calm)}`);
  expect(lateness).toMatchObject({ count: (JOBS * (endMs - startMs)) / 1_000, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(MOST_LATE_MS);

  const slow = troubled.receiver.requests.filter(({ nominalMs }) => nominalMs < endMs);
  expect(new Set(slow.map(({ id }) => id)).size).toBe(slow.length);
});
