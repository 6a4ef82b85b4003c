import { afterAll, beforeAll, expect, test } from "vitest";
import { createGround, eventOf, type Ground } from "../testing/ground.ts";

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
});

afterAll(async () => {
  await ground.end();
});

const COUNT = 30_000;
const BATCH = 1_000;

test("a dispatcher holds 30,000 triggers of one project that are due at one instant, ahead of that", async () => {
  // Its clock stands still, so they are not due before all of them are accepted.
  const nowMs = Date.now();
  const dispatcher = await ground.start({}, { clock: { now: () => nowMs } });
  const { projectId } = await ground.addProject();
  const job = await ground.addJob(projectId, "http://127.0.0.1:1/");
  const dueMs = nowMs + 9_000;
  for (let from = 0; from < COUNT; from += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) =>
      eventOf(job, dueMs + from + index, { effectiveTimeMs: BigInt(dueMs) }),
    );
    expect(await dispatcher.accept(batch)).toMatchObject({ recorded: BATCH });
  }
  // What a dispatcher does not hold, it gives up at once.
  const [{ owned }] = await ground.sql("select count(owner)::integer as owned from dispatcher.triggers");
  expect(owned).toBe(COUNT);
  await ground.sql("select dispatcher.withdraw($1, to_timestamp(0))", [job.uid]);
});
