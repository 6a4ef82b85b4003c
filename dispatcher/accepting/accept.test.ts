import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilRecorded } from "../testing/ground.ts";

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

  test("answers an invalid batch with its error, and continues the stream", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/error`);
    const at = Date.now() + 3_600_000;
    const stream = one.client.accept();
    await stream.send({ batchId: 1n, events: [eventOf(job, at, { kind: TriggerKind.UNSPECIFIED })] });
    await stream.send({ batchId: 2n, events: [eventOf(job, at, { triggerId: "trg_{,}" })] });
    await stream.send({ batchId: 3n, events: [eventOf(job, at)] });
    stream.end();
    const answers = [];
    for await (const answer of stream.responses) answers.push(answer);
    expect(answers).toMatchObject([
      { batchId: 1n, recorded: 0, errorCode: 3, errorMessage: expect.stringContaining("kind") },
      { batchId: 2n, recorded: 0, errorCode: 3, errorMessage: expect.stringContaining("trigger_id") },
      { batchId: 3n, recorded: 1, errorCode: 0, errorMessage: "" },
    ]);
  });

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

  test("replaces the copy in memory when a change of the job has recorded the trigger again under the same id", async () => {
    const job = await ground.addJob(projectId, `${receiver.url}/old-form`);
    const form = { target: { webhook: { url: `${receiver.url}/new-form` } } };
    await ground.sql(
      "insert into scheduler.revisions (job_uid, revision, spec, create_time, facets) values ($1, 2, $2, now(), '{}')",
      [job.uid, JSON.stringify(form)],
    );
    const event = eventOf(job, Date.now() + 300);
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
