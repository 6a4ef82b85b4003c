import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectAgreement } from "../../test/support/live-triggers.ts";
import { resultRecord } from "../results/results.sql.ts";
import {
  createGround,
  type EventInit,
  eventOf,
  type Ground,
  type TestDispatcher,
  type TestJob,
} from "../testing/ground.ts";

// An event is sent again while another connection is about to change its trigger: the statement that records it sees
// nothing of that change, and waits for it.

let ground: Ground;
let dispatcher: TestDispatcher;
let session: pg.Client;
let job: TestJob;

beforeAll(async () => {
  ground = await createGround();
  dispatcher = await ground.start();
  session = new pg.Client({ connectionString: ground.adminUrl });
  await session.connect();
});

afterAll(async () => {
  await session.end();
  await ground.end();
});

beforeEach(async () => {
  job = await ground.addJob((await ground.addProject()).projectId, "http://127.0.0.1:1/");
  await session.query("begin");
});

afterEach(() => session.query("rollback"));

/** Adds the trigger of an event, in a state and with an owner that lets no dispatcher touch it. */
async function addTrigger(event: EventInit, state: string, endMs: number | null): Promise<void> {
  await ground.sql(
    "insert into dispatcher.instances values ('inst_x', now(), now() + interval '1 h', now() + interval '1 h') on conflict do nothing",
  );
  await ground.sql(
    `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name, revision,
       kind, state, seq, attempt_count, owner, create_time, start_time, end_time)
     values ($1, $2, $2, $2, $3, $4, 'job', 1, 'SCHEDULED', $5, 1, 1, case when $6::timestamptz is null then 'inst_x' end,
       now(), now(), $6)`,
    [
      event.triggerId,
      new Date(Number(event.nominalTimeMs)),
      job.projectId,
      job.uid,
      state,
      endMs === null ? null : new Date(endMs),
    ],
  );
}

/** Ends the trigger of an event in the transaction that is open. */
async function end({ triggerId, nominalTimeMs }: EventInit): Promise<void> {
  const time = new Date(Number(nominalTimeMs)).toISOString();
  const change = ["SUCCEEDED", 1, time, time, null, null, "att_1", 5, 200, "ok"];
  const values = [
    [triggerId],
    time,
    time,
    { [triggerId]: change },
    ...Array.from({ length: 12 }, () => []),
    {},
  ];
  const { rows } = await session.query(resultRecord.text, values);
  expect(rows).toMatchObject([{ id: triggerId, state: "SUCCEEDED" }]);
}

/** Sends the event again, waits until that is blocked by the open transaction, and commits. Returns the answer. */
async function replayed(event: EventInit) {
  const answer = dispatcher.accept([event]);
  await ground.untilWaiting();
  await session.query("commit");
  return await answer;
}

/** The states of the job's triggers, and how many of them are live. */
async function account() {
  const triggers = await ground.sql("select state from dispatcher.triggers where job_uid = $1", [job.uid]);
  const live = await ground.sql("select from dispatcher.live_triggers where job_uid = $1", [job.uid]);
  return { states: triggers.map(({ state }) => state), live: live.length };
}

describe.each([
  ["late", -60_000],
  ["in the future", 3_600_000],
])("an event that is %s and sent again", (_, inMs) => {
  test("while its trigger comes to rest makes no second trigger", async () => {
    const event = eventOf(job, Date.now() + inMs);
    await addTrigger(event, "RUNNING", null);
    await end(event);
    expect(await replayed(event)).toMatchObject({ recorded: 0, errorCode: 0 });
    expect(await account()).toEqual({ states: ["SUCCEEDED"], live: 0 });
  });

  test("while its trigger is cancelled makes no second trigger", async () => {
    const event = eventOf(job, Date.now() + inMs);
    await addTrigger(event, "RETRYING", null);
    await session.query("select dispatcher.cancel($1, now())", [job.uid]);
    expect(await replayed(event)).toMatchObject({ recorded: 0, errorCode: 0 });
    expect(await account()).toEqual({ states: ["CANCELLED"], live: 0 });
  });

  test("while a backfill makes its trigger due again makes no second trigger", async () => {
    const event = eventOf(job, Date.now() + inMs);
    await addTrigger(event, "SUCCEEDED", Date.now());
    const times = [new Date(Number(event.nominalTimeMs))];
    const again = "select dispatcher.redeliver($1, $2, $3, true, now() + interval '1 h', 1, 'job')";
    await session.query(again, [job.projectId, job.uid, times]);
    expect(await replayed(event)).toMatchObject({ recorded: 0, errorCode: 0 });
    expect(await account()).toEqual({ states: ["PENDING"], live: 1 });
  });
});

test("an event that is sent again while its trigger is withdrawn makes it anew, once", async () => {
  const event = eventOf(job, Date.now() + 3_600_000);
  await dispatcher.accept([event]);
  await session.query("select dispatcher.withdraw($1, now())", [job.uid]);
  expect(await replayed(event)).toMatchObject({ recorded: 1, errorCode: 0 });
  expect(await account()).toEqual({ states: ["PENDING"], live: 1 });
});

test("events are recorded although a row of dispatcher.live_triggers was left behind under the id of one of them", async () => {
  const atMs = Date.now() + 3_600_000;
  const events = [eventOf(job, atMs), eventOf(job, atMs + 1)];
  await ground.sql(
    `insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, owner, due_time)
     values ($1, $2, $3, 'job_old', 'MANUAL', 'inst_old', $2)`,
    [events[0]?.triggerId, new Date(atMs + 7_200_000), job.projectId],
  );
  expect(await dispatcher.accept(events)).toMatchObject({ recorded: 2, refused: [], errorCode: 0 });
  expect(await account()).toEqual({ states: ["PENDING", "PENDING"], live: 2 });
  await expectAgreement(session);
});
