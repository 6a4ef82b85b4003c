import { durationMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, type Ground, randomId, type TestDispatcher, type TestJob } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatcher: TestDispatcher;
let projectId: string;
let job: TestJob;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatcher = await ground.start();
  await ground.sql("insert into dispatcher.instances values ($1, now(), now() + interval '1 hour')", [OTHER]);
  job = await ground.addJob(projectId, `${receiver.url}/late`);
});
afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const BASE_MS = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000;
const at = (seconds: number | null) => (seconds === null ? null : new Date(BASE_MS + seconds * 1_000));
const LOST =
  "The process that made this attempt ended before the outcome was known; the delivery may have arrived.";

/** Another dispatcher. It stays alive. */
const OTHER = randomId("inst");

interface Past {
  readonly state?: string;
  /** In seconds after the effective time. */
  readonly startTime: number | null;
  readonly dueTime?: number;
  readonly attempts?: readonly { readonly at: number; readonly error?: string }[];
  readonly attemptBase?: number;
  readonly attemptCount?: number;
}

/** Adds a trigger with such a past. The attempts that have ended are UNKNOWN. */
async function addTrigger({ state = "EXHAUSTED", attempts = [], attemptBase = 0, ...past }: Past) {
  const id = randomId("trg");
  const owner = state === "RUNNING" ? OTHER : null;
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, attempt_base, create_time, start_time, end_time, owner)
     values ($1, $2, $2, $3, $4, $5, $6, 1, 'SCHEDULED', $7, 1, $8, $9, $2, $10, case when $7 = 'EXHAUSTED' then $11::timestamptz end, $12)`,
    [
      id,
      at(0),
      at(past.dueTime ?? 0),
      projectId,
      job.uid,
      job.name,
      state,
      past.attemptCount ?? attempts.length,
      attemptBase,
      at(past.startTime),
      at(1_000),
      owner,
    ],
  );
  for (const [index, { at: seconds, error = "" }] of attempts.entries()) {
    await ground.sql(
      `insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, error)
       values ($1, $2, $3, $4, 'UNKNOWN', $5, 10, $6)`,
      [id, at(0), index + 1, randomId("att"), at(seconds), error],
    );
  }
  return id;
}

/** Reads the lateness by GetTrigger and by ListTriggers, which must be equal, in seconds. */
async function latenessOf(id: string) {
  const { client } = dispatcher;
  const got = (await client.getTrigger({ projectId, request: { id } })).response?.trigger;
  const list = (await client.listTriggers({ projectId, request: {}, jobUids: [] })).response?.triggers;
  const { lateness } = list?.find((trigger) => trigger.id === id) ?? {};
  expect(lateness).toEqual(got?.lateness);
  if (lateness?.total === undefined || lateness.ours === undefined || lateness.theirs === undefined)
    return undefined;
  const { total, ours, theirs } = lateness;
  return {
    total: durationMs(total) / 1_000,
    ours: durationMs(ours) / 1_000,
    theirs: durationMs(theirs) / 1_000,
  };
}

describe("the lateness of a trigger", () => {
  test("is absent before the first attempt, and ours up to its start", async () => {
    expect(await latenessOf(await addTrigger({ startTime: null }))).toBeUndefined();
    const once = await addTrigger({ startTime: 1.25, attempts: [{ at: 1.25 }] });
    expect(await latenessOf(once)).toEqual({ total: 1.25, ours: 1.25, theirs: 0 });
  });

  test("is theirs from the first attempt to the latest, but not after an attempt that was lost with its process", async () => {
    const attempts = [{ at: 1 }, { at: 6, error: LOST }, { at: 9 }, { at: 20 }];
    const id = await addTrigger({ startTime: 1, attempts });
    expect(await latenessOf(id)).toEqual({ total: 20, ours: 1 + 3, theirs: 5 + 11 });
  });

  test("counts an attempt in flight from when it was due", async () => {
    const attempts = [{ at: 2 }, { at: 7, error: LOST }];
    const id = await addTrigger({ state: "RUNNING", startTime: 2, dueTime: 8, attempts, attemptCount: 3 });
    expect(await latenessOf(id)).toEqual({ total: 8, ours: 2 + 1, theirs: 5 });
  });

  test("counts from the last replay on", async () => {
    const attempts = [{ at: -900 }, { at: -800 }, { at: 3 }, { at: 4.5 }];
    const id = await addTrigger({ startTime: 3, attempts, attemptBase: 2 });
    expect(await latenessOf(id)).toEqual({ total: 4.5, ours: 3, theirs: 1.5 });
  });

  test("is ours when the process of the first attempt has died", async () => {
    const dead = randomId("inst");
    await ground.sql("insert into dispatcher.instances values ($1, now(), now())", [dead]);
    const id = randomId("trg");
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
         kind, state, seq, attempt_count, owner, create_time, start_time)
       values ($1, $2, $2, $2, $3, $4, $5, 1, 'SCHEDULED', 'RUNNING', 1, 1, $6, $2, $2)`,
      [id, at(1), projectId, job.uid, job.name, dead],
    );
    await receiver.waitFor((requests) => requests.find((request) => request.id === id));
    const lateness = await latenessOf(id);
    expect(lateness?.total).toBeGreaterThan(3_000);
    expect(lateness).toMatchObject({ ours: lateness?.total, theirs: 0 });
  });
});
