import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { parseAlert } from "../../sdk/index.ts";
import { verify } from "../../sdk/webhook.ts";
import { type AlertReceiver, startAlertReceiver } from "../support/alert-receiver.ts";
import { openScene, type Scene, SECONDLY } from "./scene.ts";

// The project's alerts hold for every job here, so each test has paths of its own.

let scene: Scene;
let alerts: AlertReceiver;
beforeAll(async () => {
  scene = await openScene();
  alerts = await startAlertReceiver();
});
afterAll(async () => {
  await scene?.stop();
  await alerts?.stop();
});
afterEach(() => update({}, { updateMask: "alerts" }));

const update = async (project: object, more = {}) =>
  (await scene.call("ProjectService/UpdateProject", { project, ...more })).project;
const toAlerts = (path: string) => ({ webhook: { url: `${alerts.url}/${path}`, method: "POST" as const } });
const ONCE = { schedules: [], retryPolicy: { maxAttempts: 1 } };

/** Runs a job and waits until its trigger has ended. */
async function run(name: string): Promise<string> {
  const { id } = await scene.client.jobs.run(name);
  await expect
    .poll(async () => (await scene.client.triggers.get(id)).endTime, { timeout: 20_000 })
    .toBeDefined();
  return id;
}
/** The alerts about a job that have arrived at a path. */
const about = (path: string, name: string) =>
  alerts.alerts(`/${path}`).filter(({ body }) => body.data.job.name === name);

test("a project's alerts are returned as they were given, stay when other fields change, and go by the mask", async () => {
  expect(await scene.client.projects.get()).not.toHaveProperty("alerts");
  const given = { target: toAlerts("shown"), events: ["EXHAUSTED" as const, "NOT_DELIVERED" as const] };
  const project = await scene.client.projects.update({ alerts: { ...given, deliveredWithin: "300s" } });
  expect(project.alerts).toMatchObject({ ...given, deliveredWithin: 300_000 });
  expect((await update({ retentionDays: 31 })).alerts).toMatchObject({
    events: ["ALERT_EVENT_EXHAUSTED", "ALERT_EVENT_NOT_DELIVERED"],
    deliveredWithin: "300s",
  });
  expect(await scene.client.projects.get()).toMatchObject({ alerts: project.alerts });
  expect(await update({ displayName: project.displayName }, { updateMask: "*" })).not.toHaveProperty(
    "alerts",
  );
});

test("alerts of a project that cannot work are refused, each with its field", async () => {
  const fields = (given: object) =>
    update({ alerts: given }).then(
      () => [],
      (refusal) => refusal.fields,
    );
  expect(await fields({})).toEqual(["project.alerts.target"]);
  expect(await fields({ target: { redis: { stream: "s" } } })).toEqual(["project.alerts.target.redis"]);
  const url = `${alerts.url}/x`;
  expect(await fields({ target: { webhook: { url: "nonsense" } } })).toEqual([
    "project.alerts.target.webhook.url",
  ]);
  const auth = { bearer: { token: "secret" } };
  expect(await fields({ target: { webhook: { url, auth } } })).toEqual([
    "project.alerts.target.webhook.auth",
  ]);
  const events = ["ALERT_EVENT_NOT_DELIVERED"];
  expect(await fields({ target: { webhook: { url } }, events })).toEqual(["project.alerts.deliveredWithin"]);
});

test("what goes wrong with a job that exists already is reported once, signed, and its recovery too; a job's own alerts replace the project's", async () => {
  const { receiver } = scene;
  await scene.createJob("plain", ONCE);
  await scene.createJob("owner", { ...ONCE, alerts: { target: toAlerts("own") } });
  receiver.answer("/plain", () => ({ status: 500 }));
  receiver.answer("/owner", () => ({ status: 500 }));
  await scene.client.projects.update({ alerts: { target: toAlerts("project") } });
  const first = await run("plain");
  await run("plain");
  await run("owner");
  await alerts.waitFor("/own", 1);
  const [exhausted] = await alerts.waitFor("/project", 1);
  receiver.answer("/plain", () => ({ status: 204 }));
  await run("plain");
  await alerts.waitFor("/project", 2);
  expect(about("project", "plain").map(({ body }) => body.type)).toEqual(["job.exhausted", "job.recovered"]);
  expect(about("project", "owner")).toEqual([]);
  if (exhausted === undefined) throw new Error("There is no alert.");
  const { id, body } = verify(exhausted.rawBody, exhausted.headers, scene.mesh.signingSecret);
  expect(id).toBe(exhausted.id);
  expect(parseAlert(body)?.data).toMatchObject({
    project: scene.mesh.project,
    job: { name: "plain" },
  });
  expect(exhausted.body.data.triggers[0]?.id).toBe(first);
  // Without alerts of its own, the project's hold: EXHAUSTED was told, and the job is still in trouble.
  await scene.call("JobService/UpdateJob", { job: { name: "owner" }, updateMask: "alerts" });
  receiver.answer("/owner", () => ({ status: 204 }));
  await run("owner");
  await expect
    .poll(() => about("project", "owner").map(({ body }) => body.type), { timeout: 20_000 })
    .toEqual(["job.recovered"]);
});

test("a job that fails is reported, and that it was paused, because its endpoint wants no more", async () => {
  const { receiver } = scene;
  await scene.client.projects.update({ alerts: { target: toAlerts("kinds") } });
  await scene.createJob("failing", { schedules: [], retryPolicy: { delays: ["1s"], maxAttempts: 5 } });
  await scene.createJob("unwanted", ONCE);
  receiver.answer("/failing", () => ({ status: 500 }));
  receiver.answer("/unwanted", () => ({ status: 410 }));
  await run("unwanted");
  await run("failing");
  const types = (name: string) =>
    about("kinds", name)
      .map(({ body }) => body.type)
      .toSorted();
  await expect.poll(() => types("failing"), { timeout: 20_000 }).toEqual(["job.exhausted", "job.failing"]);
  await expect.poll(() => types("unwanted"), { timeout: 20_000 }).toEqual(["job.disabled", "job.exhausted"]);
});

test("the dead man's switch of a project watches jobs of before and after it was turned on, and speaks once", async () => {
  const { receiver } = scene;
  const job = { schedules: SECONDLY, retryPolicy: { delays: ["600s"] } };
  for (const name of ["before", "after"]) receiver.answer(`/${name}`, () => ({ status: 500 }));
  await scene.createJob("before", job);
  const events = ["NOT_DELIVERED" as const, "RECOVERED" as const];
  await scene.client.projects.update({
    alerts: { target: toAlerts("dead"), events, deliveredWithin: "10s" },
  });
  await scene.createJob("after", job);
  const types = (name: string) => about("dead", name).map(({ body }) => body.type);
  await expect
    .poll(() => [...types("before"), ...types("after")], { timeout: 60_000 })
    .toEqual(["job.not_delivered", "job.not_delivered"]);
  expect(about("dead", "before")[0]?.body.data.message).toContain("within 10 s");
  for (const name of ["before", "after"]) {
    receiver.answer(`/${name}`, () => ({ status: 204 }));
    await expect.poll(() => types(name), { timeout: 60_000 }).toEqual(["job.not_delivered", "job.recovered"]);
  }
  // The ticker succeeds all the time.
  expect(types("ticker")).toEqual([]);
}, 200_000);
