import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  at,
  ConflictError,
  calendarOpens,
  cron,
  EasyCron,
  InvalidArgumentError,
  NotFoundError,
  UnauthenticatedError,
  webhook,
} from "../../sdk/index.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
let easycron: EasyCron;
beforeAll(async () => {
  scene = await openScene();
  easycron = scene.client;
});
afterAll(() => scene?.stop());

const THIS_HOUR = Math.floor(Date.now() / 3_600_000) * 3_600_000;

describe("the SDK against the whole product", () => {
  test("creates, reads, changes, lists and deletes a job", async () => {
    const job = await easycron.jobs.create({
      name: "payroll",
      schedule: cron("0 9 * * 1-5", "Europe/Paris"),
      target: webhook(scene.receiver.url),
      startTime: new Date("2030-01-01"),
      attemptTimeout: "90s",
      payload: { company: 42 },
    });
    expect(job).toMatchObject({ state: "ACTIVE", startTime: new Date("2030-01-01"), attemptTimeout: 90_000 });
    expect(JSON.parse(JSON.stringify(job))).toMatchObject({ nextFireTime: "2030-01-01T08:00:00.000Z" });
    const read = await easycron.jobs.get("payroll");
    expect(read).toMatchObject({ uid: job.uid, payload: { company: 42 } });
    const changed = await easycron.jobs.update({ ...read, labels: { team: "billing" } });
    expect(changed).toMatchObject({ revision: 2, labels: { team: "billing" } });
    await expect(easycron.jobs.update({ ...read, maxFires: 3 })).rejects.toBeInstanceOf(ConflictError);
    const reset = await easycron.jobs.update({ name: "payroll" }, { updateMask: ["startTime"] });
    expect(reset.startTime).toBeUndefined();
    expect(await easycron.jobs.pause("payroll", { note: "closed" })).toMatchObject({ state: "PAUSED" });
    const paused = await easycron.jobs.list({ filter: "state = PAUSED" }).toArray();
    expect(paused.map(({ name }) => name)).toEqual(["payroll"]);
    expect((await easycron.jobs.listRevisions("payroll").toArray()).length).toBeGreaterThanOrEqual(3);
    await easycron.jobs.delete("payroll");
    await expect(easycron.jobs.get("payroll")).rejects.toBeInstanceOf(NotFoundError);
  });

  test("reads all pages of a list", async () => {
    const jobs = Array.from({ length: 5 }, (_, index) => ({
      name: `page-${index}`,
      target: webhook(scene.receiver.url),
      labels: { set: "pages" },
    }));
    await easycron.jobs.batchCreate(jobs);
    const names: string[] = [];
    for await (const { name } of easycron.jobs.list({ pageSize: 2, filter: "labels.set = pages" }))
      names.push(name);
    expect(names.sort()).toEqual(jobs.map(({ name }) => name));
  });

  test("says what apply would do, and does it", async () => {
    const labels = { set: "applied" };
    const jobs = [
      { name: "applied", schedule: at("2040-01-01T00:00:00Z"), target: webhook(scene.receiver.url) },
    ];
    expect(await easycron.jobs.apply(jobs, { labels, dryRun: true })).toMatchObject({ created: ["applied"] });
    await expect(easycron.jobs.get("applied")).rejects.toBeInstanceOf(NotFoundError);
    await easycron.jobs.apply(jobs, { labels });
    expect(await easycron.jobs.apply(jobs, { labels })).toMatchObject({ created: [], unchangedCount: 1 });
  });

  test("runs a job once under one request id, and lists the trigger", async () => {
    await easycron.jobs.create({ name: "manual", target: webhook(scene.receiver.url) });
    const trigger = await easycron.jobs.run("manual", { requestId: "once", payload: [1] });
    expect(await easycron.jobs.run("manual", { requestId: "once", payload: [1] })).toMatchObject({
      id: trigger.id,
    });
    await scene.receiver.waitFor((requests) => requests.find(({ id }) => id === trigger.id));
    const listed = await easycron.triggers.list({ job: "manual" }).toArray();
    expect(listed).toMatchObject([{ id: trigger.id, kind: "MANUAL" }]);
  });

  test("waits for a backfill", async () => {
    const schedule = cron("0 * * * *");
    await easycron.jobs.create({ name: "hourly", schedule, target: webhook(scene.receiver.url) });
    const operation = await easycron.jobs.backfill("hourly", {
      startTime: new Date(THIS_HOUR - 3 * 3_600_000),
      endTime: new Date(THIS_HOUR),
    });
    const seen: number[] = [];
    const ended = await operation.wait({ onProgress: ({ metadata }) => seen.push(metadata?.doneCount ?? 0) });
    expect(ended).toMatchObject({ state: "SUCCEEDED", metadata: { doneCount: 3 } });
    expect(seen.at(-1)).toBe(3);
  });

  test("reads calendars, previews and the ledger", async () => {
    const windows = [{ days: ["MONDAY"], start: "09:00", end: "17:00" }];
    await easycron.calendars.create({ name: "mondays", timeZone: "Europe/Paris", windows });
    const monday = new Date("2030-01-07T12:00:00Z");
    expect(await easycron.calendars.check("mondays", { time: monday })).toMatchObject({
      open: true,
      changeTime: new Date("2030-01-07T16:00:00Z"),
    });
    const { fireTimes } = await easycron.schedules.preview(
      { schedule: calendarOpens("mondays") },
      { after: monday, count: 1 },
    );
    expect(fireTimes).toMatchObject([{ nominalTime: new Date("2030-01-14T08:00:00Z") }]);
    for await (const entry of easycron.ledger.list({ job: "ticker", endTime: new Date() })) {
      expect(entry.verdict).toBe("TRIGGERED");
      expect(entry.trigger?.kind).toBe("SCHEDULED");
      break;
    }
    expect((await easycron.system.getServerInfo()).limits?.maxSchedules).toBeGreaterThan(0);
  });

  test("throws errors of their own classes", async () => {
    const wrong = easycron.jobs.create({
      name: "wrong",
      schedule: cron("61 * * * *"),
      target: webhook("https://a.example"),
    });
    await expect(wrong).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(wrong).rejects.toMatchObject({
      violations: [{ field: "job.schedules[0].cron.expression" }],
    });
    const stranger = new EasyCron({ url: scene.mesh.url, apiKey: "ec_test_nobody" });
    await expect(stranger.jobs.list().toArray()).rejects.toBeInstanceOf(UnauthenticatedError);
  });
});
