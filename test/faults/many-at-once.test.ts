import pg from "pg";
import { expect, test } from "vitest";
import { copyJob } from "../../scheduler/testing/copy-job.ts";
import { timestampFromDate } from "../../sdk/raw.ts";
import { reached } from "../support/reached.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const JOBS = 30_000;
/** Makes the uids of the copies as long as uids are. */
const PART = "0".repeat(16);

test("30,000 jobs of one project at one instant delay no other project, and all of them arrive", async () => {
  await using scene = await openFaultScene();
  const { mesh, healthy, troubled } = scene;
  const { receiver } = troubled;
  const dueMs = nextSecond(30_000);
  const created = await troubled.client.raw.jobs.createJob({
    job: {
      name: "one",
      schedules: [
        {
          kind: {
            case: "once" as const,
            value: { at: { case: "time" as const, value: timestampFromDate(new Date(dueMs)) } },
          },
        },
      ],
      target: { kind: { case: "webhook" as const, value: { url: receiver.url } } },
    },
  });
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  await copyJob(admin, created.job?.uid ?? "", JOBS - 1, PART);
  await admin.end();
  expect(Date.now()).toBeLessThan(dueMs - 6_000);
  await reached(dueMs);
  // The fire times of this second are due at the same instant. They must not wait until all others are delivered.
  const lateness = await healthy.between(dueMs - 4_000, dueMs + 10_000);
  await receiver.waitFor((requests) => requests.length >= JOBS, 60_000);
  const last = Math.max(...receiver.requests.map(({ arrivedMs }) => arrivedMs)) - dueMs;
  console.log(`30,000 at once, the last after ${last} ms; others: ${JSON.stringify(lateness)}`);
  expect(new Set(receiver.requests.map(({ id }) => id)).size).toBe(JOBS);
  expect(lateness.repeated).toBe(0);
  // How fast 30,000 are delivered depends on the machine, and the fire times of this second share it with them.
  expect(lateness.worstMs).toBeLessThan(5_000);
});
