import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { EasyCron } from "../../sdk/index.ts";
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

describe("a job with alerts", () => {
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
