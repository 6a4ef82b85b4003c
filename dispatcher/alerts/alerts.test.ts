import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pause } from "../../mesh/pause.ts";
import { verify } from "../../sdk/webhook.ts";
import { type AlertReceiver, startAlertReceiver } from "../../test/support/alert-receiver.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, type TestJob } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let alerts: AlertReceiver;
let dispatcher: TestDispatcher;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  alerts = await startAlertReceiver();
  dispatcher = await ground.start();
});
afterAll(async () => {
  await ground?.end();
  await receiver?.stop();
  await alerts?.stop();
});

/** Adds a job whose alerts go to the same path of the receiver of alerts. A trigger of it has one attempt. */
async function addJob(projectId: string, path: string, spec: object = {}): Promise<TestJob> {
  const target = { webhook: { url: `${alerts.url}${path}`, method: "POST" } };
  const own = { alerts: { target }, retryPolicy: { maxAttempts: 1 }, ...spec };
  const job = await ground.addJob(projectId, `${receiver.url}${path}`, own);
  await ground.sql(
    `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time)
     values ($1, 1, 'ACTIVE', 1, now(), now())`,
    [job.uid],
  );
  return job;
}

/** Fires a trigger and waits until it has ended. */
async function fire(job: TestJob, seq: number): Promise<string> {
  const event = eventOf(job, Date.now(), { seq });
  await dispatcher.accept([event]);
  for (;;) {
    const [row] = await ground.sql("select end_time from dispatcher.triggers where id = $1", [
      event.triggerId,
    ]);
    if (row?.end_time !== null) return event.triggerId;
    await pause(10);
  }
}

test("a dead letter makes one signed alert, further ones none, and the first success after them says that it works again", async () => {
  const { projectId, secret } = await ground.addProject();
  const job = await addJob(projectId, "/letter");
  receiver.answer("/letter", () => ({ status: 500 }));
  const first = await fire(job, 1);
  const [alert] = await alerts.waitFor("/letter", 1);
  if (alert === undefined) throw new Error("There is no alert.");
  expect(verify(alert.rawBody, alert.headers, secret).id).toMatch(/^alr_[0-9a-hjkmnp-tv-z]{26}$/);
  expect(alert.body).toMatchObject({
    type: "job.exhausted",
    data: {
      project: projectId,
      job: { name: job.name, uid: job.uid, revision: 1 },
      count: 1,
      triggers: [{ id: first, attempts: 1 }],
    },
  });
  await fire(job, 2);
  receiver.answer("/letter", () => ({ status: 200 }));
  await fire(job, 3);
  await alerts.waitFor("/letter", 2);
  expect(alerts.types("/letter")).toEqual(["job.exhausted", "job.recovered"]);
});

test("what happens while no dispatcher can send is reported afterwards, and a fact that is noted twice once", async () => {
  const { projectId } = await ground.addProject();
  const job = await addJob(projectId, "/noted");
  await dispatcher.stop();
  const note =
    "select dispatcher.note_alert($1, 'DISABLED', 'once', now(), 'It was EXHAUSTED 20 times in a row.')";
  await ground.sql(note, [job.uid]);
  await ground.sql(note, [job.uid]);
  dispatcher = await ground.start();
  const [alert] = await alerts.waitFor("/noted", 1);
  expect(alert?.body).toMatchObject({
    type: "job.disabled",
    data: { reason: "It was EXHAUSTED 20 times in a row.", job: { uid: job.uid } },
  });
  await ground.sql(note, [job.uid]);
  await ground.sql("select dispatcher.note_alert($1, 'DISABLED', 'again', now(), '')", [job.uid]);
  await alerts.waitFor("/noted", 2);
  expect(alerts.types("/noted")).toEqual(["job.disabled", "job.disabled"]);
  expect(await ground.sql("select from dispatcher.alert_facts where job_uid = $1", [job.uid])).toEqual([]);
});

test("a job that disables itself all the time gets at most twenty alerts, and the others of its project get theirs", async () => {
  const { projectId } = await ground.addProject();
  const [noisy, calm] = [await addJob(projectId, "/noisy"), await addJob(projectId, "/calm")];
  const held = once(dispatcher.events, "alertsHeld");
  for (let batch = 0; batch < 3; batch++) {
    await ground.sql(
      "select dispatcher.note_alert($1, 'DISABLED', $2 || n, now(), '') from generate_series(1, 10) as n",
      [noisy.uid, `${batch}/`],
    );
    if (batch < 2) await alerts.waitFor("/noisy", 10 * (batch + 1));
  }
  expect(await held).toMatchObject([{ jobUid: noisy.uid, projectId }]);
  await ground.sql("select dispatcher.note_alert($1, 'DISABLED', 'calm', now(), '')", [calm.uid]);
  await alerts.waitFor("/calm", 1);
  expect(alerts.alerts("/noisy")).toHaveLength(20);
});

test("at most 200 facts of a job are kept, and none of a job without alerts", async () => {
  const { projectId } = await ground.addProject();
  const job = await addJob(projectId, "/many");
  const plain = await ground.addJob(projectId, `${receiver.url}/plain`, { retryPolicy: { maxAttempts: 1 } });
  await ground.sql(
    "update dispatcher.alert_jobs set held_until = now() + interval '1 hour' where job_uid = $1",
    [job.uid],
  );
  await ground.sql(
    "select dispatcher.note_alert($1, 'MISSED', n::text, now(), '') from generate_series(1, 300) as n",
    [job.uid],
  );
  receiver.answer("/plain", () => ({ status: 500 }));
  await fire(plain, 1);
  const count = "select count(*)::integer as count from dispatcher.alert_facts where job_uid = $1";
  expect(await ground.sql(count, [job.uid])).toEqual([{ count: 200 }]);
  expect(await ground.sql(count, [plain.uid])).toEqual([{ count: 0 }]);
});

test("a job whose alerts cannot be read is reported to operators, and the alerts of others go on", async () => {
  const { projectId } = await ground.addProject();
  const broken = await addJob(projectId, "/broken", { alerts: { target: { webhook: { url: 7 } } } });
  const fine = await addJob(projectId, "/fine");
  const trouble = new Promise<string>((resolve) => {
    dispatcher.events.on("trouble", ({ part }) => part.includes(broken.uid) && resolve(part));
  });
  for (const { uid } of [broken, fine])
    await ground.sql("select dispatcher.note_alert($1, 'DISABLED', 'x', now(), '')", [uid]);
  expect(await trouble).toBe(`alerts of job ${broken.uid}`);
  await alerts.waitFor("/fine", 1);
});
