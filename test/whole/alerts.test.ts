import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
import { verify } from "../../sdk/webhook.ts";
import { type AlertReceiver, startAlertReceiver } from "../support/alert-receiver.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

let mesh: Mesh;
let receiver: Receiver;
let alerts: AlertReceiver;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  alerts = await startAlertReceiver();
  mesh = await startMesh({ preparedData: inject("easycronPostgres").preparedData });
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
  await alerts?.stop();
});

const everySecond = [{ cron: { expression: "* * * * * *", dialect: "WITH_SECONDS" as const } }];
const toPath = (name: string) => ({ webhook: { url: `${receiver.url}/${name}` } });
const toAlerts = (name: string) => ({ webhook: { url: `${alerts.url}/${name}` } });

/** Creates a job whose triggers and alerts arrive at the path of its name. */
const create = (name: string, fields: object) =>
  client.jobs.create({ name, target: toPath(name), alerts: { target: toAlerts(name) }, ...fields });

/** Reads rows as the administrator. */
async function read(text: string, values: readonly unknown[]) {
  const admin = new pg.Client({ connectionString: mesh.databaseUrl });
  await admin.connect();
  try {
    return (await admin.query(text, [...values])).rows;
  } finally {
    await admin.end();
  }
}

describe("a job with alerts", () => {
  test("reports once that it fails and that a trigger is a dead letter, and that it works again", async () => {
    const job = await create("billing", { retryPolicy: { delays: ["1s"], maxAttempts: 5 } });
    receiver.answer("/billing", () => ({ status: 500 }));
    const [first, second] = [await client.jobs.run("billing"), await client.jobs.run("billing")];
    const both = await alerts.waitFor("/billing", 2);
    await expect
      .poll(() => client.triggers.list({ job: "billing", state: "EXHAUSTED" }).toArray())
      .toHaveLength(2);
    receiver.answer("/billing", () => ({ status: 204 }));
    await client.jobs.run("billing");
    const [failing, exhausted, recovered] = await alerts.waitFor("/billing", 3);
    expect(both).toHaveLength(2);
    expect(alerts.types("/billing")).toEqual(["job.failing", "job.exhausted", "job.recovered"]);
    expect(failing?.body.data).toMatchObject({ job: { name: "billing", uid: job.uid, revision: 1 } });
    expect([first.id, second.id]).toContain(exhausted?.body.data.triggers[0]?.id);
    for (const alert of [failing, exhausted, recovered]) {
      if (alert === undefined) throw new Error("An alert is missing.");
      expect(verify(alert.rawBody, alert.headers, mesh.signingSecret).id).toBe(alert.id);
      expect(alert.body.data.message).toContain("billing");
    }
    const rows = await read("select event, state from dispatcher.alerts where job_uid = $1", [job.uid]);
    expect(rows.map(({ state }) => state)).toEqual(["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  });

  test("reports only the events that it lists, and a change of the list or of the target takes effect", async () => {
    const events = ["RECOVERED" as const];
    await create("picky", { retryPolicy: { maxAttempts: 1 }, alerts: { target: toAlerts("picky"), events } });
    receiver.answer("/picky", (number) => ({ status: number === 1 || number === 3 ? 500 : 204 }));
    const end = async () => {
      const { id } = await client.jobs.run("picky");
      await expect
        .poll(async () => (await client.triggers.get(id)).endTime, { timeout: 10_000 })
        .toBeDefined();
    };
    await end();
    await end();
    await alerts.waitFor("/picky", 1);
    await client.jobs.update({
      name: "picky",
      alerts: { target: toAlerts("picky-2"), events: ["EXHAUSTED"] },
    });
    await end();
    await alerts.waitFor("/picky-2", 1);
    expect([...alerts.types("/picky"), ...alerts.types("/picky-2")]).toEqual([
      "job.recovered",
      "job.exhausted",
    ]);
  });

  test("whose alerts cannot be delivered raises no further alerts, and its triggers and others go on", async () => {
    const dead = { webhook: { url: "http://127.0.0.1:2/" } };
    const job = await create("deaf", { alerts: { target: dead }, retryPolicy: { maxAttempts: 1 } });
    await create("other", { schedules: everySecond });
    receiver.answer("/deaf", () => ({ status: 500 }));
    await client.jobs.run("deaf");
    const rows = () =>
      read("select event, state, attempt_count from dispatcher.alerts where job_uid = $1", [job.uid]);
    await expect
      .poll(async () => (await rows())[0]?.attempt_count ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(1);
    expect(await rows()).toMatchObject([{ event: "EXHAUSTED", state: "PENDING" }]);
    const before = receiver.requests.filter(({ job: name }) => name === "other").length;
    await receiver.waitFor((all) => all.filter(({ job: name }) => name === "other").length >= before + 2);
    receiver.answer("/deaf", () => ({ status: 204 }));
    const { id } = await client.jobs.run("deaf");
    await expect.poll(async () => (await client.triggers.get(id)).state).toBe("SUCCEEDED");
    await client.jobs.delete("other");
  });

  test("reports that it was paused because its endpoint wants no more", async () => {
    await create("unwanted", { retryPolicy: { maxAttempts: 1 } });
    receiver.answer("/unwanted", () => ({ status: 410 }));
    const { id } = await client.jobs.run("unwanted");
    await expect
      .poll(() => alerts.types("/unwanted").toSorted(), { timeout: 20_000 })
      .toEqual(["job.disabled", "job.exhausted"]);
    const disabled = alerts.alerts("/unwanted").find(({ body }) => body.type === "job.disabled");
    expect(disabled?.body.data.message).toContain(`answered 410 Gone to ${id}`);
    const { state, pauseNote } = await client.jobs.get("unwanted");
    expect(state).toBe("PAUSED");
    expect(disabled?.body.data.message).toContain(pauseNote);
  });

  test("reports the same alert under one id when the dispatcher is killed with -9 before it was delivered; so does a project", async () => {
    await create("killed", { retryPolicy: { maxAttempts: 1 } });
    await client.projects.update({ alerts: { target: toAlerts("project"), events: ["EXHAUSTED"] } });
    await client.jobs.create({ name: "bare", target: toPath("bare"), retryPolicy: { maxAttempts: 1 } });
    for (const name of ["killed", "bare"]) receiver.answer(`/${name}`, () => ({ status: 500 }));
    for (const path of ["/killed", "/project"]) alerts.answer(path, 500);
    await Promise.all(["killed", "bare"].map((name) => client.jobs.run(name)));
    for (const path of ["/killed", "/project"]) await alerts.waitFor(path, 1);
    await mesh.kill9("dispatcher", 0);
    for (const path of ["/killed", "/project"]) {
      alerts.answer(path, 204);
      await alerts.waitFor(path, 2, 60_000);
      expect(new Set(alerts.alerts(path).map(({ id }) => id)).size).toBe(1);
      expect(new Set(alerts.types(path))).toEqual(new Set(["job.exhausted"]));
    }
    await client.projects.update({}, { updateMask: ["alerts"] });
  });
});

describe("the dead man's switch", () => {
  test("speaks while the scheduler stands still, and says when the job works again", async () => {
    const within = { target: toAlerts("heart"), deliveredWithin: "10s" as const };
    await create("heart", { schedules: everySecond, alerts: within });
    await create("skips", { schedules: everySecond, misfirePolicy: "SKIP" });
    await create("paused", {
      schedules: everySecond,
      alerts: { target: toAlerts("paused"), deliveredWithin: "10s" as const },
    });
    await receiver.waitFor((all) => all.some(({ job }) => job === "heart"));
    await client.jobs.pause("paused");
    const pid = mesh.pids().scheduler?.[0] ?? 0;
    process.kill(pid, "SIGSTOP");
    try {
      const [alert] = await alerts.waitFor("/heart", 1, 60_000);
      expect(alert?.body).toMatchObject({
        type: "job.not_delivered",
        data: { job: { name: "heart" }, triggers: [] },
      });
      expect(alert?.body.data.nominalTimes).not.toEqual([]);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await alerts.waitFor("/heart", 2, 60_000);
    expect(alerts.types("/heart")).toEqual(["job.not_delivered", "job.recovered"]);
    const [missed] = await alerts.waitFor("/skips", 1, 60_000);
    expect(missed?.body).toMatchObject({ type: "job.missed", data: { reason: "MISFIRE_POLICY" } });
    // How many were missed depends on how long the scheduler stood still: what is less than ten seconds late still fires.
    expect(missed?.body.data.count).toBeGreaterThanOrEqual(1);
    expect(alerts.types("/paused")).toEqual([]);
  }, 150_000);
});

test("alerts that cannot work are refused, each with its field", async () => {
  const refused = (given: object) =>
    client.jobs.create({ name: "refused", target: toPath("refused"), alerts: given }).then(
      () => undefined,
      (error) => error.violations?.map(({ field }: { field: string }) => field),
    );
  expect(await refused({})).toEqual(["job.alerts.target"]);
  expect(await refused({ target: { redis: { stream: "s" } } })).toEqual(["job.alerts.target.redis"]);
  expect(await refused({ target: { webhook: { url: "nonsense" } } })).toEqual([
    "job.alerts.target.webhook.url",
  ]);
  const bearer = { webhook: { url: `${alerts.url}/x`, auth: { bearer: { token: "secret" } } } };
  expect(await refused({ target: bearer })).toEqual(["job.alerts.target.webhook.auth"]);
  const events = ["NOT_DELIVERED"];
  expect(await refused({ target: toAlerts("x"), events })).toEqual(["job.alerts.deliveredWithin"]);
  expect(await refused({ target: toAlerts("x"), deliveredWithin: "1s" })).toEqual([
    "job.alerts.deliveredWithin",
  ]);
});
