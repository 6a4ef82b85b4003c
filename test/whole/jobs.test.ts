import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { triggerId } from "../../sdk/index.ts";
import { JobState, OperationState, timestampFromDate } from "../../sdk/raw.ts";
import { DAILY, iso, type Json, openScene, type Scene, SECONDLY } from "./scene.ts";

// What is asked of jobs, in batches and one by one, as scripts ask for it (JSON over HTTP, by the names of the contract)
// and as the SDK does, against the whole product.

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene?.stop());

describe("pauses, by JSON", () => {
  test("BatchPauseJobs accepts a filter, BatchResumeJobs undoes it, and ListJobs shows both", async () => {
    const labels = { team: "billing" };
    for (const name of ["pay-a", "pay-b"]) await scene.createJob(name, { schedules: DAILY, labels });
    await scene.call("JobService/PauseJob", { name: "pay-b", note: "mine" });
    const filter = 'labels.team = "billing" AND name = "pay*"';
    const paused = await scene.call("JobService/BatchPauseJobs", { filter, note: "migration" });
    expect(paused).toMatchObject({ jobs: [{ name: "pay-a", pauseNote: "migration" }], more: false });
    const pausedNames = async () => {
      const request = { filter: `${filter} AND state = PAUSED`, orderBy: "name desc" };
      return (await scene.call("JobService/ListJobs", request)).jobs.map(({ name }: Json) => name);
    };
    expect(await pausedNames()).toEqual(["pay-b", "pay-a"]);
    await scene.call("JobService/BatchResumeJobs", { undoToken: paused.undoToken });
    expect(await pausedNames()).toEqual(["pay-b"]);
    const wrong = scene.call("JobService/BatchPauseJobs", { filter: "team = billing" });
    await expect(wrong).rejects.toMatchObject({ status: 400, reason: "FIELD_INVALID", fields: ["filter"] });
  });

  test("ApplyJobs keeps a pause", async () => {
    const apply = (schedules: object) =>
      scene.call("JobService/ApplyJobs", {
        labels: { stack: "one" },
        jobs: [scene.jobNamed("applied", { schedules })],
      });
    expect(await apply(DAILY)).toMatchObject({ created: ["applied"] });
    await scene.call("JobService/PauseJob", { name: "applied" });
    expect(await apply(SECONDLY)).toMatchObject({ updated: ["applied"] });
    const { job } = await scene.call("JobService/GetJob", { name: "applied" });
    expect(job).toMatchObject({ state: "JOB_STATE_PAUSED", revision: 2, labels: { stack: "one" } });
  });
});

describe("payloads, by JSON", () => {
  /** Calls a method with JSON text, and returns the text of the answer. */
  const callText = async (method: string, body: string) => {
    const { url, apiKey } = scene.mesh;
    const headers = { "content-type": "application/json", authorization: `Bearer ${apiKey}` };
    const response = await fetch(`${url}/easycron.v1.${method}`, { method: "POST", headers, body });
    return response.text();
  };

  test("are delivered and answered digit for digit, as the text that was sent", async () => {
    const payload = String.raw`{"id":3889108265204451307,"min":-9223372036854775808,"10":1.0,"2":"\u00e9"}`;
    const job = JSON.stringify({ job: scene.jobNamed("digits", { schedules: [], payload: "?" }) });
    await callText("JobService/CreateJob", job.replace('"?"', payload));
    expect(await callText("JobService/GetJob", '{"name":"digits"}')).toContain(`"payload":${payload}`);
    await callText("JobService/RunJob", '{"name":"digits","requestId":"job"}');
    expect((await scene.arrived("digits")).rawBody.toString()).toContain(`"payload":${payload}}}`);
    await callText("JobService/RunJob", '{"name":"digits","requestId":"own","payload":[-0, 1e-400]}');
    const own = ({ rawBody }: { rawBody: Buffer }) => rawBody.includes('"payload":[-0,1e-400]}}');
    expect(await scene.arrived("digits", own)).toBeDefined();
  });
});

describe("requests for triggers, by JSON", () => {
  test("RunJob makes one trigger for one requestId, with its own payload", async () => {
    const { uid } = await scene.createJob("by-hand", { schedules: [] });
    const run = { name: "by-hand", requestId: "r-1", payload: { rows: [1, null] } };
    const [once, twice] = [
      await scene.call("JobService/RunJob", run),
      await scene.call("JobService/RunJob", run),
    ];
    expect(twice.trigger.id).toBe(once.trigger.id);
    const { id, nominalMs, body } = await scene.arrived("by-hand");
    expect(id).toBe(triggerId({ jobUid: uid, nominalTime: new Date(nominalMs), requestId: "r-1" }));
    expect(body.data).toMatchObject({ kind: "MANUAL", payload: { rows: [1, null] } });
  });

  test("BackfillJob first counts past fire times, and then delivers them under their own ids", async () => {
    const hourMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    const [startTime, endTime] = [iso(hourMs - 5 * 3_600_000), iso(hourMs - 3 * 3_600_000)];
    const schedules = [{ cron: { expression: "0 * * * *" } }];
    const { uid } = await scene.createJob("backfilled", { schedules, endTime });
    const range = { name: "backfilled", startTime, endTime };
    const dry = await scene.call("JobService/BackfillJob", { ...range, dryRun: true });
    expect(dry.operation).toMatchObject({
      id: "",
      metadata: { fireTimeCount: 2, triggerCount: 2, doneCount: 0 },
    });
    const { operation } = await scene.call("JobService/BackfillJob", range);
    const ids = [5, 4].map((hours) =>
      triggerId({ jobUid: uid, nominalTime: new Date(hourMs - hours * 3_600_000) }),
    );
    const own = await scene.receiver.waitFor((requests) => {
      const found = requests.filter(({ job }) => job === "backfilled");
      return found.length === 2 ? found : undefined;
    });
    expect(own.map(({ id }) => id).sort()).toEqual(ids.sort());
    const done = await scene.until(
      () => scene.call("OperationService/GetOperation", { id: operation.id }),
      (answer) => answer.operation.state !== "OPERATION_STATE_RUNNING",
    );
    expect(done.operation).toMatchObject({ state: "OPERATION_STATE_SUCCEEDED", metadata: { doneCount: 2 } });
  });

  test("DiscardTriggers cancels a trigger that waits for a retry", async () => {
    scene.receiver.answer("/failing", () => ({ status: 503 }));
    await scene.createJob("failing", { schedules: [], retryPolicy: { minBackoff: "3600s" } });
    const { id } = (await scene.call("JobService/RunJob", { name: "failing" })).trigger;
    const state = async () => (await scene.call("TriggerService/GetTrigger", { id })).trigger.state;
    await scene.until(state, (found) => found === "TRIGGER_STATE_RETRYING");
    const discarded = await scene.call("TriggerService/DiscardTriggers", { job: "failing" });
    expect(discarded).toEqual({ discardedCount: 1, more: false });
    expect(await state()).toBe("TRIGGER_STATE_CANCELLED");
  });
});

describe("revisions, by JSON", () => {
  // In a zone whose weeks all have as many hours.
  const at = (hours: string) => [{ cron: { expression: `0 ${hours} * * *` }, timeZone: "Asia/Tokyo" }];

  test("are listed, read with their differences, and reverted unless the etag is outdated", async () => {
    const { etag } = await scene.createJob("edited", { schedules: at("9") });
    const schedules = at("9,21");
    await scene.call("JobService/UpdateJob", { job: { name: "edited", schedules }, updateMask: "schedules" });
    const { revisions } = await scene.call("JobService/ListRevisions", { name: "edited" });
    expect(revisions.map(({ number }: Json) => number)).toEqual([2, 1]);
    const read = await scene.call("JobService/GetRevision", { name: "edited", number: 2, pageSize: 5 });
    expect(read.revision).toMatchObject({
      actor: expect.stringMatching(/^key_/),
      difference: { addedCount: 7, removedCount: 0 },
    });
    expect(read.revision.difference.added).toHaveLength(5);
    const { nextPageToken: pageToken } = read;
    const rest = await scene.call("JobService/GetRevision", {
      name: "edited",
      number: 2,
      pageSize: 5,
      pageToken,
    });
    expect(rest.revision.difference.added).toHaveLength(2);
    const revert = { name: "edited", number: 1 };
    const stale = scene.call("JobService/RevertJob", { ...revert, etag });
    await expect(stale).rejects.toMatchObject({ status: 409, reason: "ETAG_MISMATCH" });
    const { job } = await scene.call("JobService/RevertJob", revert);
    expect(job).toMatchObject({ revision: 3, schedules: [{ cron: { expression: "0 9 * * *" } }] });
    await scene.call("JobService/DeleteJob", { name: "edited", etag: job.etag });
    expect((await scene.call("JobService/ListRevisions", { name: "edited" })).revisions).toHaveLength(3);
  });
});

describe("by the SDK", () => {
  test("jobs are selected by a filter, paused, resumed and reverted", async () => {
    const filter = "name = applied";
    await scene.client.raw.jobs.batchResumeJobs({ filter });
    const { undoToken } = await scene.client.raw.jobs.batchPauseJobs({ filter });
    const { jobs } = await scene.client.raw.jobs.listJobs({ filter: `${filter} AND state = PAUSED` });
    expect(jobs.map(({ name }) => name)).toEqual(["applied"]);
    await scene.client.raw.jobs.batchResumeJobs({ undoToken });
    expect((await scene.client.raw.jobs.listRevisions({ name: "applied" })).revisions).toHaveLength(2);
    const { job } = await scene.client.raw.jobs.revertJob({ name: "applied", number: 1 });
    expect(job).toMatchObject({ revision: 3, state: JobState.ACTIVE });
    const { revision } = await scene.client.raw.jobs.getRevision({ name: "applied", number: 3 });
    expect(revision?.difference?.removedCount).toBeGreaterThan(40_000);
  });

  test("a backfill is followed to its end, and triggers are discarded", async () => {
    const endTime = timestampFromDate(new Date());
    const startTime = timestampFromDate(new Date(Date.now() - 6 * 3_600_000));
    const { operation } = await scene.client.raw.jobs.backfillJob({
      name: "backfilled",
      startTime,
      endTime,
      force: true,
    });
    const read = () => scene.client.raw.operations.getOperation({ id: operation?.id ?? "" });
    await scene.until(read, (answer) => answer.operation?.state === OperationState.SUCCEEDED);
    expect(await scene.client.raw.triggers.discardTriggers({ job: "failing" })).toMatchObject({
      discardedCount: 0,
    });
  });
});
