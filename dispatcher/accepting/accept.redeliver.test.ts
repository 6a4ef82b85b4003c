import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  type EventInit,
  eventOf,
  type Ground,
  type TestDispatcher,
  type TestJob,
} from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatcher = await ground.start();
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

/** Makes a job's trigger due again, as a backfill with `force` does. */
const redeliver = (job: TestJob, { nominalTimeMs }: EventInit, revision = 1) =>
  ground.sql("select dispatcher.redeliver($1, $2, $3, true, now(), $4, $5)", [
    projectId,
    job.uid,
    [new Date(Number(nominalTimeMs))],
    revision,
    job.name,
  ]);

const requestsOf = ({ triggerId }: EventInit) => receiver.requests.filter(({ id }) => id === triggerId);

/** Waits until the trigger has ended with so many attempts, and returns its row. */
async function ended({ triggerId }: EventInit, attempts: number) {
  const read = async () =>
    (
      await ground.sql("select * from dispatcher.triggers where id = $1 and end_time is not null", [
        triggerId,
      ])
    )[0];
  await expect.poll(async () => (await read())?.attempt_count, { timeout: 10_000 }).toBe(attempts);
  return read();
}

const policy = (maxAttempts: number) => ({
  retryPolicy: { maxAttempts, minBackoff: "0.05s", maxBackoff: "0.05s", maxAge: "60s" },
});

describe("a trigger that a backfill delivers again", () => {
  test("is delivered each time, with attempt numbers that continue", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/again`, policy(1));
    const event = eventOf(job, Date.now());
    await dispatcher.accept([event]);
    for (let run = 1; run <= 6; run++) {
      expect(await ended(event, run)).toMatchObject({ state: "SUCCEEDED" });
      if (run < 6) await redeliver(job, event);
    }
    const numbers = requestsOf(event).map(({ headers }) => headers["easycron-attempt"]);
    expect(numbers).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  test("gets all attempts of its retry policy again, and is a dead letter after them", async () => {
    receiver.answer("/dead", () => ({ status: 500 }));
    const job = await ground.addJob(projectId, `${receiver.url}/dead`, policy(3));
    const event = eventOf(job, Date.now());
    await dispatcher.accept([event]);
    for (const attempts of [3, 6, 9]) {
      expect(await ended(event, attempts)).toMatchObject({ state: "EXHAUSTED" });
      if (attempts < 9) await redeliver(job, event);
    }
    expect(requestsOf(event)).toHaveLength(9);
  });

  test("uses the current revision of the job, and its start time is that of the first new attempt", async () => {
    receiver.answer("/old", () => ({ status: 500 }));
    const job = await ground.addJob(projectId, `${receiver.url}/old`, policy(1));
    const event = eventOf(job, Date.now());
    await dispatcher.accept([event]);
    const dead = await ended(event, 1);
    await ground.sql(
      "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, 2, $2, now(), '{}')",
      [
        job.uid,
        JSON.stringify({
          name: job.name,
          target: { webhook: { url: `${receiver.url}/mended`, method: "POST" } },
        }),
      ],
    );
    await redeliver(job, event, 2);
    const delivered = await ended(event, 2);
    expect(delivered).toMatchObject({ state: "SUCCEEDED", revision: 2, attempt_base: 1 });
    expect(delivered.start_time.getTime()).toBeGreaterThan(dead.end_time.getTime());
    expect(requestsOf(event).map(({ path }) => path)).toEqual(["/old", "/mended"]);
  });

  test("replaces the copy in memory that waits for a later time", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/held`);
    const event = eventOf(job, Date.now() + 9_000);
    await dispatcher.accept([event]);
    await ground.sql(
      "update dispatcher.triggers set state = 'CANCELLED', end_time = now(), owner = null where id = $1",
      [event.triggerId],
    );
    await redeliver(job, event);
    expect(await ended(event, 1)).toMatchObject({ state: "SUCCEEDED" });
    expect(requestsOf(event)).toHaveLength(1);
    expect(Date.now()).toBeLessThan(Number(event.nominalTimeMs));
  });
});
