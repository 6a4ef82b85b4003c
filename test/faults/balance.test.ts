import pg from "pg";
import { expect, test } from "vitest";
import { reached } from "../support/reached.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 200;

/**
 * Returns how the triggers of a time span are divided among the dispatchers, each as a share of all: the triggers that
 * are handed over and not yet due, by the instance that holds them.
 */
async function sharesOf(admin: pg.Client, fromMs: number): Promise<number[]> {
  const { rows } = await admin.query(
    `select owner, count(*)::integer as n from dispatcher.triggers
      where owner is not null and create_time >= $1 and end_time is null group by owner`,
    [new Date(fromMs)],
  );
  const all = rows.reduce((sum, { n }) => sum + n, 0);
  return rows.map(({ n }) => n / all);
}

async function connect(scene: FaultScene): Promise<pg.Client> {
  const admin = new pg.Client({ connectionString: scene.mesh.databaseUrl });
  await admin.connect();
  return admin;
}

/** Waits until triggers of at least two seconds have been handed over after `fromMs`, and returns the shares. */
async function sharesAfter(admin: pg.Client, fromMs: number): Promise<number[]> {
  await reached(fromMs + 2_500);
  return sharesOf(admin, fromMs);
}

function expectEqualShares(shares: readonly number[], dispatchers: number): void {
  expect(shares).toHaveLength(dispatchers);
  for (const share of shares) expect(Math.abs(share - 1 / dispatchers)).toBeLessThan(0.15);
}

test.each([2, 4])("each of %i dispatchers gets its share of the jobs", async (dispatchers) => {
  await using scene = await openFaultScene({ dispatchers, healthyJobs: JOBS });
  const admin = await connect(scene);
  try {
    const shares = await sharesAfter(admin, Date.now());
    console.log(`${dispatchers} dispatchers: ${shares.map((share) => share.toFixed(3)).join(", ")}`);
    expectEqualShares(shares, dispatchers);
  } finally {
    await admin.end();
  }
});

test("a dispatcher that was killed gets its share again within two seconds of being ready", async () => {
  await using scene = await openFaultScene({ dispatchers: 2, healthyJobs: JOBS });
  const admin = await connect(scene);
  try {
    const killMs = Date.now();
    await scene.mesh.kill9("dispatcher", 0);
    await scene.mesh.untilReady("dispatcher", 0);
    const readyMs = Date.now();
    const shares = await sharesAfter(admin, readyMs + 2_000);
    console.log(
      `restarted after ${readyMs - killMs} ms: ${shares.map((share) => share.toFixed(3)).join(", ")}`,
    );
    expectEqualShares(shares, 2);
    const startMs = nextSecond();
    const lateness = await scene.healthy.between(startMs, startMs + 3_000);
    console.log(`after the restart: ${JSON.stringify(lateness)}`);
    expect(lateness.worstMs).toBeLessThan(1_000);
  } finally {
    await admin.end();
  }
});
