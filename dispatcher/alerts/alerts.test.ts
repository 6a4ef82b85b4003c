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
