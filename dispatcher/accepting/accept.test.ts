import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import {
  createGround,
  type EventInit,
  eventOf,
  type Ground,
  type TestDispatcher,
  untilRecorded,
} from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let one: TestDispatcher;
let two: TestDispatcher;
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  one = await ground.start();
  two = await ground.start();
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const count = async (jobUid: string): Promise<number> =>
  (await ground.sql("select count(*)::integer as n from dispatcher.triggers where job_uid = $1", [jobUid]))[0]
    .n;

describe("acceptance", () => {
  test("records an event once, even if it is sent several times to several dispatchers", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/once`);
    const batch = Array.from({ length: 100 }, (_, index) => eventOf(job, Date.now() + 300 + index));
    const answers = await Promise.all([one, two, one, two].map((dispatcher) => dispatcher.accept(batch)));
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, 0]);
    expect(answers.reduce((sum, { recorded }) => sum + recorded, 0)).toBe(100);
    const arrived = () => receiver.requests.filter(({ path }) => path === "/once");
    await receiver.waitFor(() => new Set(arrived().map(({ id }) => id)).size === 100);
    expect(arrived()).toHaveLength(100);
    expect(await count(job.uid)).toBe(100);
  });

  test("does not record events of an outdated or future epoch, but records the others of the batch", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/epoch`);
    const other = await ground.addJob(projectId, `${receiver.url}/epoch`);
    await ground.sql("update scheduler.jobs set epoch = 2 where uid = $1", [job.uid]);
    const at = Date.now() + 3_600_000;
    const batch = [eventOf(job, at), eventOf(job, at + 1, { epoch: 2 }), eventOf(job, at, { epoch: 3 })];
    expect(await one.accept([...batch, eventOf(other, at)])).toMatchObject({ recorded: 2, errorCode: 0 });
    expect(await count(job.uid)).toBe(1);
  });

  test("does not record events of a deleted job", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/deleted`);
    await ground.sql("update scheduler.jobs set state = 'DELETED' where uid = $1", [job.uid]);
    expect(await one.accept([eventOf(job, Date.now() + 3_600_000)])).toMatchObject({
      recorded: 0,
      errorCode: 0,
    });
  });

  test("refuses an invalid event with its problem, and records the others of the batch", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/error`);
    const at = Date.now() + 3_600_000;
    const noKind = eventOf(job, at, { kind: TriggerKind.UNSPECIFIED });
    const badId = eventOf(job, at + 1, { triggerId: "trg_{,}" });
    expect(await one.accept([noKind, badId, eventOf(job, at + 2)])).toMatchObject({
      recorded: 1,
      errorCode: 0,
      refused: [
        { triggerId: noKind.triggerId, problem: expect.stringContaining("kind") },
        { triggerId: "trg_{,}", problem: expect.stringContaining("trigger_id") },
      ],
    });
    expect(await count(job.uid)).toBe(1);
  });

  test("refuses an event that PostgreSQL cannot store, and records and holds the others of the batch", async () => {
    const bad = await ground.addJob(projectId, `${receiver.url}/bad`);
    const good = await ground.addJob(projectId, `${receiver.url}/good`);
    const at = Date.now() + 500;
    const events = Array.from({ length: 50 }, (_, index) => eventOf(good, at + index));
    const poison = [
      eventOf(bad, at, { jobName: "nul\u0000" }),
      eventOf(bad, at + 1, { payloadJson: '"\u0000"' }),
      eventOf(bad, at + 2, { seq: 2 ** 32 - 1 }),
      eventOf(bad, 8.64e15 + 1),
    ];
    const batch = [...events.slice(0, 20), ...poison.slice(0, 2), ...events.slice(20), ...poison.slice(2)];
    const recorded = untilRecorded(one.events, events);
    const answer = await one.accept(batch);
    expect(answer).toMatchObject({ recorded: 50, errorCode: 0, postponed: [] });
    expect(answer.refused.map(({ triggerId }) => triggerId).sort()).toEqual(
      poison.map(({ triggerId }) => triggerId).sort(),
    );
    expect(await count(bad.uid)).toBe(0);
    await recorded;
  });

  test("refuses no event because of what would fail for every one, such as a missing grant", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/no-grant`);
    const events = Array.from({ length: 10 }, (_, index) => eventOf(job, Date.now() + 3_600_000 + index));
    await ground.sql("revoke insert on dispatcher.triggers from easycron_dispatcher");
    const answer = await one
      .accept(events)
      .finally(() => ground.sql("grant insert on dispatcher.triggers to easycron_dispatcher"));
    expect(answer).toMatchObject({ recorded: 0, refused: [], errorCode: 13 });
    expect(await one.accept(events)).toMatchObject({ recorded: 10, errorCode: 0 });
  });

  test("answers a batch of too many events with an error, and continues the stream", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/many`);
    const at = Date.now() + 3_600_000;
    const stream = one.client.accept();
    await stream.send({ batchId: 1n, events: Array.from({ length: 1_001 }, () => eventOf(job, at)) });
    await stream.send({ batchId: 2n, events: [eventOf(job, at)] });
    stream.end();
    const answers = [];
    for await (const answer of stream.responses) answers.push(answer);
    expect(answers).toMatchObject([
      { batchId: 1n, recorded: 0, errorCode: 3, errorMessage: expect.stringContaining("events") },
      { batchId: 2n, recorded: 1, errorCode: 0, errorMessage: "" },
    ]);
  });

  test("postpones the events of a job that another transaction has locked, and records the others", async () => {
    const locked = await ground.addJob(projectId, `${receiver.url}/locked`);
    const other = await ground.addJob(projectId, `${receiver.url}/locked`);
    const at = Date.now() + 3_600_000;
    const events = [eventOf(locked, at), eventOf(locked, at + 1, { epoch: 7 }), eventOf(other, at)];
    await ground.whileHeld("select from scheduler.jobs where uid = $1 for update", [locked.uid], async () => {
      expect(await one.accept(events)).toMatchObject({
        recorded: 1,
        errorCode: 0,
        postponed: [events[0]?.triggerId],
      });
    });
    expect(await one.accept(events)).toMatchObject({ recorded: 1, postponed: [] });
    expect(await count(locked.uid)).toBe(1);
  });

  test("records events while the scheduler holds the lock with which it hands them over", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/handing`);
    const lock = "select from scheduler.jobs where uid = $1 for no key update";
    await ground.whileHeld(lock, [job.uid], async () => {
      const answer = await one.accept([eventOf(job, Date.now() + 3_600_000)]);
      expect(answer).toMatchObject({ recorded: 1, postponed: [] });
    });
  });
});

describe("a batch with a deadline", () => {
  const databaseNow = async (): Promise<number> =>
    Number((await ground.sql("select extract(epoch from clock_timestamp()) * 1000 as ms"))[0].ms);

  test("is recorded before it", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/in-time`);
    const deadlineMs = BigInt(Math.floor(await databaseNow()) + 60_000);
    const answer = await one.accept([eventOf(job, Date.now() + 3_600_000)], deadlineMs);
    expect(answer).toMatchObject({ recorded: 1, errorCode: 0 });
  });

  test("is not recorded when PostgreSQL's clock is past it", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/too-late`);
    const deadlineMs = BigInt(Math.floor(await databaseNow()));
    const answer = await one.accept([eventOf(job, Date.now() + 3_600_000)], deadlineMs);
    expect(answer).toMatchObject({ recorded: 0, errorCode: 4 });
    expect(await count(job.uid)).toBe(0);
  });

  test("is not recorded when the statement has waited for a lock until after it", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/waited`);
    const event = eventOf(job, Date.now() + 3_600_000);
    const answer = await whileBlocked("lock table scheduler.jobs in access exclusive mode", [], event);
    expect(answer).toMatchObject({ recorded: 0, errorCode: 4 });
    expect(await count(job.uid)).toBe(0);
  });

  test("is not recorded when it is still being written at the deadline", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/writing`);
    const event = eventOf(job, Date.now() + 3_600_000);
    // As another dispatcher that is recording the same trigger, and does not commit.
    const insert = `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid,
        job_name, revision, kind, state, seq, create_time, previous_skipped, previous_missed, zone_data)
      values ($1, $2, $2, $2, $3, $4, 'job', 1, 'SCHEDULED', 'PENDING', 1, now(), 0, 0, '2026a')`;
    const fireTime = new Date(Number(event.nominalTimeMs));
    const values = [event.triggerId, fireTime, projectId, job.uid];
    expect(await whileBlocked(insert, values, event)).toMatchObject({ recorded: 0, errorCode: 14 });
    expect(await count(job.uid)).toBe(0);
  });

  /** Sends an event while another transaction blocks its recording until after the deadline. Returns the answer. */
  async function whileBlocked(text: string, values: readonly unknown[], event: EventInit) {
    const deadlineMs = BigInt(Math.floor(await databaseNow()) + 1_000);
    const { answer } = await ground.whileHeld(text, values, async () => {
      const answer = one.accept([event], deadlineMs);
      await ground.untilWaiting();
      expect(await databaseNow()).toBeLessThan(Number(deadlineMs));
      while ((await databaseNow()) <= Number(deadlineMs) + 1);
      return { answer };
    });
    return answer;
  }
});

describe("a trigger that is accepted", () => {
  test("holds a trigger that an earlier call recorded, when the answer to that call was lost", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/lost`);
    const event = eventOf(job, Date.now() + 200);
    const [instance] = await ground.sql("select id from dispatcher.instances order by start_time limit 1");
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name,
         revision, kind, state, seq, owner, create_time)
       values ($1, to_timestamp($2::float8 / 1000), to_timestamp($2::float8 / 1000), to_timestamp($2::float8 / 1000), $3,
         $4, $5, 1, 'SCHEDULED', 'PENDING', 1, $6, now())`,
      [event.triggerId, Number(event.nominalTimeMs), projectId, job.uid, job.name, instance.id],
    );
    const recorded = untilRecorded(one.events, [event]);
    expect(await one.accept([event])).toMatchObject({ recorded: 0, errorCode: 0 });
    await recorded;
    expect(receiver.requests.filter(({ id }) => id === event.triggerId)).toHaveLength(1);
  });

  test("holds what an earlier call recorded, if the row of another trigger of the batch cannot be read", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/unreadable`);
    const at = Date.now() + 500;
    const batch = Array.from({ length: 5 }, (_, index) => eventOf(job, at + index));
    const others = batch.toSpliced(2, 1);
    const [instance] = await ground.sql("select id from dispatcher.instances order by start_time limit 1");
    await ground.sql(
      `insert into dispatcher.triggers (id, fire_time, effective_time, due_time, project_id, job_uid, job_name,
         revision, kind, state, seq, owner, create_time)
       select id, at, at, at, $3, $4, $5, case when id = $6 then 77 else 1 end, 'SCHEDULED', 'PENDING', 1, $7, now()
         from unnest($1::text[], $2::timestamptz[]) as given (id, at)`,
      [
        batch.map(({ triggerId }) => triggerId),
        batch.map(({ nominalTimeMs }) => new Date(Number(nominalTimeMs))),
        projectId,
        job.uid,
        job.name,
        batch[2]?.triggerId,
        instance.id,
      ],
    );
    // The row with revision 77 throws when it is read.
    await ground.sql(`create policy guard on dispatcher.triggers to easycron_dispatcher
      using (1 / (77 - revision) is not null)`);
    await ground.sql("alter table dispatcher.triggers enable row level security");
    const recorded = untilRecorded(one.events, others);
    const answer = await one.accept(batch);
    await recorded;
    await ground.sql("alter table dispatcher.triggers disable row level security");
    expect(answer).toMatchObject({ recorded: 0, refused: [], errorCode: 0 });
  });

  test("replaces the copy in memory when a change of the job has recorded the trigger again under the same id", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/old-form`);
    const form = { target: { webhook: { url: `${receiver.url}/new-form` } } };
    await ground.sql(
      "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, 2, $2, now(), '{}')",
      [job.uid, JSON.stringify(form)],
    );
    // The job has to change before then.
    const event = eventOf(job, Date.now() + 4_000);
    await one.accept([event]);
    await ground.sql("select dispatcher.withdraw($1, now())", [job.uid]);
    await ground.sql("update scheduler.jobs set epoch = 2, revision = 2 where uid = $1", [job.uid]);
    const recorded = untilRecorded(one.events, [event]);
    expect(await one.accept([{ ...event, epoch: 2, revision: 2 }])).toMatchObject({ recorded: 1 });
    await recorded;
    const arrived = receiver.requests.filter(({ id }) => id === event.triggerId);
    expect(arrived.map(({ path, body }) => [path, body.data.job.revision])).toEqual([["/new-form", 2]]);
  });

  test("records a trigger that is due later without an owner", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/later`);
    const event = eventOf(job, Date.now() + 60_000);
    await one.accept([event]);
    const [row] = await ground.sql("select state, owner from dispatcher.triggers where id = $1", [
      event.triggerId,
    ]);
    expect(row).toEqual({ state: "PENDING", owner: null });
  });
});
