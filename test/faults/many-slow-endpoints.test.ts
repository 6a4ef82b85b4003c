import { expect, test } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import { timestampFromDate } from "../../sdk/raw.ts";
import { reached } from "../support/reached.ts";
import { nextSecond, openFaultScene } from "./scene.ts";

const PROJECTS = 130;
/** In flight for each project. So many may also use the places that are reserved for projects that use few. */
const EACH = 8;
const HUNG_FOR_MS = 8_000;

test("a healthy project is on time while 130 other projects have eight hung requests each", async () => {
  await using scene = await openFaultScene();
  const { mesh, troubled, healthy } = scene;
  const { receiver } = troubled;
  const ends: (() => void)[] = [];
  receiver.answer("/hung", () => new Promise((resolve) => ends.push(() => resolve({ status: 200 }))));
  const projects = await Promise.all(
    Array.from({ length: PROJECTS }, () => ensureProject(mesh.url, mesh.operatorKey)),
  );
  const dueMs = nextSecond(10_000);
  const job = (name: string) => ({
    name,
    schedules: [
      {
        kind: {
          case: "once" as const,
          value: { at: { case: "time" as const, value: timestampFromDate(new Date(dueMs)) } },
        },
      },
    ],
    target: { kind: { case: "webhook" as const, value: { url: `${receiver.url}/hung` } } },
  });
  for (const { apiKey } of projects) {
    const requests = Array.from({ length: EACH }, (_, index) => ({ job: job(`hung-${index}`) }));
    await new EasyCron({ url: mesh.url, apiKey }).raw.jobs.batchCreateJobs({ requests });
  }
  expect(Date.now()).toBeLessThan(dueMs);
  await reached(dueMs);
  await receiver.waitFor(() => ends.length === PROJECTS * EACH, 20_000);
  const startMs = nextSecond(1_000);
  const lateness = await healthy.between(startMs, startMs + HUNG_FOR_MS);
  console.log(`many slow endpoints: ${JSON.stringify(lateness)}`);
  // None of them has been answered meanwhile.
  expect(receiver.requests).toHaveLength(PROJECTS * EACH);
  expect(lateness.repeated).toBe(0);
  expect(lateness.worstMs).toBeLessThan(1_000);
  for (const end of ends) end();
});
