import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EasyCron, triggerId } from "../../sdk/index.ts";
import { Edge, OperationState, TriggerKind, timestampFromDate } from "../../sdk/raw.ts";
import { startReceiver } from "../support/receiver.ts";
import { joinMesh } from "../support/shared-mesh.ts";

// Calendars, revisions, batches and backfills, from the SDK to the receiver.

let mesh: Awaited<ReturnType<typeof joinMesh>>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  mesh = await joinMesh();
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
});

const target = (path: string) => ({
  kind: { case: "webhook" as const, value: { url: `${receiver.url}${path}` } },
});
const cron = (expression: string) => [{ kind: { case: "cron" as const, value: { expression } } }];
const thisHour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
const hoursAgo = (hours: number) => new Date(thisHour - hours * 3_600_000);

describe("a backfill", () => {
  test("delivers past fire times once under their own ids, and again with force", async () => {
    const { job } = await client.raw.jobs.createJob({
      // It has ended, so that no fire time of now comes between.
      job: {
        name: "nightly",
        schedules: cron("0 * * * *"),
        endTime: timestampFromDate(hoursAgo(2)),
        target: target("/nightly"),
      },
    });
    const times = [5, 4, 3].map(hoursAgo);
    const range = {
      name: "nightly",
      startTime: timestampFromDate(hoursAgo(5)),
      endTime: timestampFromDate(hoursAgo(2)),
    };
    const ids = times.map((nominalTime) => triggerId({ jobUid: job?.uid ?? "", nominalTime }));
    const run = async (force: boolean, attempts: number) => {
      const { operation } = await client.raw.jobs.backfillJob({ ...range, force });
      await receiver.waitFor((requests) => {
        const own = requests.filter(({ path }) => path === "/nightly");
        return own.length >= attempts ? own : undefined;
      });
      for (;;) {
        const read = await client.raw.operations.getOperation({ id: operation?.id ?? "" });
        if (read.operation?.state !== OperationState.RUNNING) return read.operation;
      }
    };
    expect(await run(false, 3)).toMatchObject({
      state: OperationState.SUCCEEDED,
      metadata: { doneCount: 3 },
    });
    const settled = async () => {
      for (;;) {
        const { triggers } = await client.raw.triggers.listTriggers({ job: "nightly" });
        if (triggers.length === 3 && triggers.every(({ endTime: ended }) => ended !== undefined))
          return triggers;
      }
    };
    const triggers = await settled();
    expect(triggers.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(triggers.every(({ kind }) => kind === TriggerKind.BACKFILL)).toBe(true);
    const again = await client.raw.jobs.backfillJob(range);
    expect(again.operation?.metadata).toMatchObject({ fireTimeCount: 3, succeededCount: 3, triggerCount: 0 });
    expect(await run(true, 6)).toMatchObject({ metadata: { doneCount: 3 } });
    await client.raw.jobs.deleteJob({ name: "nightly" });
  });
});

describe("a batch", () => {
  test("of jobs is refused as a whole with the path of every error, and created as a whole", async () => {
    const job = (name: string, url = receiver.url) => ({
      job: {
        name,
        labels: { batch: "one" },
        schedules: cron("0 9 * * *"),
        target: { kind: { case: "webhook" as const, value: { url } } },
      },
    });
    const wrong = client.raw.jobs.batchCreateJobs({
      requests: [job("a"), job("b", "ftp://x"), job("c", "nonsense")],
    });
    await expect(wrong).rejects.toMatchObject({
      reason: "URL_INVALID",
      violations: [
        { field: "requests[1].job.target.webhook.url" },
        { field: "requests[2].job.target.webhook.url" },
      ],
    });
    const requests = Array.from({ length: 1_000 }, (_, index) => job(`batch-${index}`));
    expect((await client.raw.jobs.batchCreateJobs({ requests })).jobs).toHaveLength(1_000);
    const paused = await client.raw.jobs.batchPauseJobs({ labels: { batch: "one" } });
    expect([paused.jobs.length, paused.more]).toEqual([1_000, false]);
    expect((await client.raw.jobs.batchResumeJobs({ undoToken: paused.undoToken })).jobs).toHaveLength(1_000);
    const { deleted } = await client.raw.jobs.applyJobs({ labels: { batch: "one" }, jobs: [] });
    expect(deleted).toHaveLength(1_000);
  });
});

describe("a revision", () => {
  test("names the API key that made it, and a change of a calendar makes a new one", async () => {
    const calendar = { name: "office", windows: [{ days: ["MONDAY"], start: "09:00", end: "17:30" }] };
    await client.raw.calendars.createCalendar({ calendar });
    const schedules = [
      { kind: { case: "calendarEdge" as const, value: { calendar: "office", edge: Edge.OPENS } } },
    ];
    await client.raw.jobs.createJob({ job: { name: "opening", schedules, target: target("/opening") } });
    await client.raw.calendars.updateCalendar({ calendar: { name: "office", timeZone: "Asia/Tokyo" } });
    const { revisions } = await client.raw.jobs.listRevisions({ name: "opening" });
    expect(revisions.map(({ number, actor }) => [number, actor])).toEqual([
      [2, ""],
      [1, expect.stringMatching(/^key_/)],
    ]);
    await expect(client.raw.calendars.deleteCalendar({ name: "office" })).rejects.toMatchObject({
      reason: "CALENDAR_IN_USE",
    });
  });
});
