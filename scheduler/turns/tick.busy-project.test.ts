import { afterEach, beforeEach, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { scheduledEvent } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import { spreadCatchup } from "./catchup.ts";
import { LATE_CLAIM_LIMIT } from "./claim.ts";

const START = Date.UTC(2026, 0, 1);
const OUTAGE_MS = 40_000;
const BUSY = "proj_busy";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Does something while another transaction has reserved catch-up time of a job's project, as a change that stalls. */
async function whileReserved(job: JobRow, work: () => Promise<void>): Promise<void> {
  const kind = TriggerKind.CATCHUP;
  const counts = { seq: 1, previousMs: null, nextMs: null, skipped: 0, missed: 0, zoneData: "2026a" };
  const event = scheduledEvent(job, { fireTimeMs: START, effectiveMs: START, kind, ...counts });
  await bench.parts.database.transaction(async (tx) => {
    await spreadCatchup(tx, [event], START + OUTAGE_MS, 50);
    await work();
  });
}

const caughtUp = async ({ uid }: JobRow) =>
  (await bench.triggersOf(uid)).filter(({ kind }) => kind === "CATCHUP").length;
const recorded = async (job: JobRow) => (await bench.triggersOf(job.uid)).length;

test("a change that stalls after it has reserved catch-up time delays the late jobs of no other project", async () => {
  const busy: JobRow[] = [];
  // They have waited longest, so they fill the first passes.
  for (let n = 0; n <= LATE_CLAIM_LIMIT; n++) {
    busy.push(await bench.createJob(everySecond(`busy-${n}`), BUSY));
  }
  bench.setTime(START + 1);
  const other = await bench.createJob(everySecond("other"));
  const [first] = busy;
  if (first === undefined) throw new Error("There is no job.");
  bench.setTime(START + OUTAGE_MS);
  await whileReserved(first, async () => {
    await bench.tick.run();
    await bench.tick.run();
    expect(await caughtUp(other)).toBeGreaterThan(20);
    expect(await recorded(first)).toBe(0);
  });
  bench.setTime(START + OUTAGE_MS + 1_001);
  while ((await bench.tick.run()).more);
  const counts = await Promise.all(busy.map(caughtUp));
  expect(Math.min(...counts)).toBeGreaterThan(20);
}, 60_000);
