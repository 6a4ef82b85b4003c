import { afterEach, beforeEach, expect, test } from "vitest";
import { OverlapPolicy } from "../../sdk/raw.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

/**
 * Makes the clock of a process wander: in each second it is off by another amount of at most a second, forwards or
 * backwards, and differs from that of every other process. The timers are not affected, as with a real clock.
 */
const WANDERING = `
  const Real = Date;
  const now = () => {
    const real = Real.now();
    return real + ((Math.floor(real / 1000) * 7919 + process.pid * 104729) % 2001) - 1000;
  };
  globalThis.Date = class extends Real {
    constructor(...given) { super(...(given.length === 0 ? [now()] : given)); }
    static now() { return now(); }
  };`;
const SECONDS = 12;
const JOBS = [OverlapPolicy.ALLOW_ALL, OverlapPolicy.SKIP, OverlapPolicy.BUFFER_ONE];

const options = process.env.NODE_OPTIONS;
beforeEach(() => {
  // The services inherit it when they start.
  process.env.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(WANDERING)}`;
});
afterEach(() => {
  if (options === undefined) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = options;
});

test("clocks of machines that wander and differ make nothing late, early or doubtful", async () => {
  await using scene = await openFaultScene({ schedulers: 2, dispatchers: 2 });
  const { healthy, troubled, mesh } = scene;
  const { jobs, ledger } = troubled.client.raw;
  const names = JOBS.map((policy) => `policy-${policy}`);
  for (const [index, overlapPolicy] of JOBS.entries()) {
    await jobs.createJob({
      job: {
        name: names[index] ?? "",
        overlapPolicy,
        schedules: [
          { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
        ],
        target: { kind: { case: "webhook" as const, value: { url: troubled.receiver.url } } },
      },
    });
  }
  const startMs = nextSecond(1_000);
  const endMs = startMs + SECONDS * 1_000;
  const counting = healthy.between(startMs, endMs);
  let maxCatchup = 1;
  while (Date.now() < endMs) {
    maxCatchup += 1;
    for (const name of names)
      await jobs.updateJob({ job: { name, maxCatchup }, updateMask: { paths: ["max_catchup"] } });
  }
  const lateness = await counting;
  console.log(`wandering clocks, ${maxCatchup - 1} changes of each job: ${JSON.stringify(lateness)}`);
  expect(lateness).toMatchObject({ count: 20 * SECONDS, repeated: 0 });
  expect(lateness.worstMs).toBeLessThan(1_000);
  const early = healthy.receiver.requests.filter(({ arrivedMs, nominalMs }) => arrivedMs < nominalMs);
  expect(early).toEqual([]);
  for (const job of names) expect((await ledger.auditLedger({ job })).differences).toEqual([]);
  expect(mesh.output.join("\n")).toContain("this machine's clock differs from PostgreSQL's");
});
