import pg from "pg";
import { expect, test } from "vitest";
import { copyJob } from "../../scheduler/testing/copy-job.ts";
import { timestampFromDate } from "../../sdk/raw.ts";
import { reached } from "../support/reached.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 10_000;
const ANSWER_AFTER_MS = 30_000;
/** Longer than an answer takes, so that places are given away anew meanwhile. */
const WATCHED_MS = 40_000;
/** Makes the uids of the copies as long as uids are. */
const PART = "1".repeat(16);

test("10,000 due triggers of one project whose endpoint takes 30 s for each delay no other project", async () => {
  await using scene = await openFaultScene();
  const { mesh, healthy, troubled } = scene;
  const { receiver } = troubled;
  let [now, most] = [0, 0];
  receiver.answer("/slow", async () => {
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_AFTER_MS).unref());
    now -= 1;
    return { status: 200 };
  });
  const dueMs = nextSecond(20_000);
  const at = { case: "time" as const, value: timestampFromDate(new Date(dueMs)) };
  const created = await troubled.client.raw.jobs.createJob({
    job: {
      name: "slow",
      schedules: [{ kind: { case: "once" as const, value: { at } } }],
      target: { kind: { case: "webhook" as const, value: { url: `${receiver.url}/slow` } } },
      attemptTimeout: { seconds: 60n },
    },
  });
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  await copyJob(admin, created.job?.uid ?? "", JOBS - 1, PART);
  await admin.end();
  expect(Date.now()).toBeLessThan(dueMs - 6_000);
  await reached(dueMs);
  await receiver.waitFor(() => now > 0, 20_000);
  const startMs = nextSecond();
  const lateness = await healthy.between(startMs, startMs + WATCHED_MS);
  console.log(
    `10,000 slow: ${receiver.requests.length} started, ${most} at once; ${JSON.stringify(lateness)}`,
  );
  // The limit of one destination of one project.
  expect(most).toBe(64);
  expect(receiver.requests.length).toBeGreaterThan(64);
  expect(lateness.repeated).toBe(0);
  // The 99th percentile is to be below a second; the worst of all is.
  expect(lateness.worstMs).toBeLessThan(1_000);
});
