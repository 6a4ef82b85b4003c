import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { timestampDate, timestampFromDate, Verdict } from "../../sdk/raw.ts";
import { DAILY, iso, type Json, openScene, type Scene } from "./scene.ts";

// What decides when, and the account of it, as scripts ask for it (JSON over HTTP, by the names of the contract) and as the
// SDK does, against the whole product.

let scene: Scene;

const fireTimes = async (job: string, more: object = {}): Promise<Json[]> =>
  (await scene.call("LedgerService/ListFireTimes", { job, ...more })).fireTimes;
/** In `seconds`, at a full one. */
const inSeconds = (seconds: number) => Math.ceil(Date.now() / 1_000 + seconds) * 1_000;

/** Closed today, whenever that ends. */
const CLOSED = [`${iso(Date.now()).slice(0, 10)}/${iso(Date.now() + 2 * 86_400_000).slice(0, 10)}`];

beforeAll(async () => {
  scene = await openScene();
  const windows = [{ days: ["MONDAY"], start: "09:00", end: "17:30" }];
  for (const calendar of [
    { name: "mondays", timeZone: "Europe/Paris", windows },
    { name: "closed", excludedDates: CLOSED },
    { name: "gate", excludedDates: CLOSED },
  ]) {
    await scene.call("CalendarService/CreateCalendar", { calendar });
  }
});
afterAll(() => scene?.stop());

// The tests up to "by the SDK" run at once: they wait for most of their time, each for a job of its own.
describe.concurrent("calendars, by JSON", () => {
  test("CheckCalendar says whether a calendar is open, and when that changes", async () => {
    // Monday the 5th of January 2026, 10:00 in Paris.
    const time = "2026-01-05T09:00:00Z";
    expect(await scene.call("CalendarService/CheckCalendar", { name: "mondays", time })).toEqual({
      open: true,
      changeTime: "2026-01-05T16:30:00Z",
    });
    expect(await scene.call("CalendarService/CheckCalendar", { name: "closed" })).toMatchObject({
      open: false,
    });
  });

  test("a job fires when a calendar opens", async () => {
    await scene.createJob("opening", {
      schedules: [{ calendarEdge: { calendar: "mondays", edge: "EDGE_OPENS" } }],
    });
    const request = { name: "opening", after: "2026-01-05T09:00:00Z", count: 2 };
    const preview = await scene.call("ScheduleService/PreviewSchedule", request);
    expect(preview.fireTimes.map(({ nominalTime }: Json) => nominalTime)).toEqual([
      "2026-01-12T08:00:00Z",
      "2026-01-19T08:00:00Z",
    ]);
  });

  test("a fire time outside a calendar is skipped, and the ledger names the calendar", async () => {
    await scene.createJob("skipping", { calendars: [{ name: "closed", outside: "OUTSIDE_SKIP" }] });
    const [first] = await scene.until(
      () => fireTimes("skipping"),
      (entries) => entries.length > 0 && entries[0].verdict !== "VERDICT_UPCOMING",
    );
    expect(first).toMatchObject({
      verdict: "VERDICT_SKIPPED",
      reason: "VERDICT_REASON_OUTSIDE_CALENDAR",
      calendar: "closed",
    });
    expect(scene.receiver.requests.filter(({ job }) => job === "skipping")).toEqual([]);
  });

  test("a deferred fire time is delivered when the calendar opens, and the others are counted as skipped", async () => {
    await scene.createJob("deferring", { calendars: [{ name: "gate", outside: "OUTSIDE_DEFER" }] });
    const entries = await scene.until(
      () => fireTimes("deferring"),
      (found) => found.some(({ verdict }: Json) => verdict === "VERDICT_SKIPPED"),
    );
    expect(entries[0]).toMatchObject({ verdict: "VERDICT_UPCOMING" });
    await scene.call("CalendarService/UpdateCalendar", {
      calendar: { name: "gate" },
      updateMask: "excludedDates",
    });
    const first = await scene.arrived("deferring", ({ body }) => body.data.seq === 1);
    expect(first.body.data).toMatchObject({ seq: 1, previousNominalTime: null });
    expect(iso(first.nominalMs)).toBe(iso(Date.parse(entries[0].nominalTime)));
    const second = await scene.arrived("deferring", ({ body }) => body.data.seq === 2);
    expect(second.body.data).toMatchObject({ seq: 2, previousNominalTime: iso(first.nominalMs) });
    // Those that were decided before the gate opened are told of by the first, the others by the second.
    const skipped = [first, second].map(({ body }) => body.data.previousVerdict?.skipped ?? 0);
    expect(skipped.reduce((sum, each) => sum + each)).toBe((second.nominalMs - first.nominalMs) / 1_000 - 1);
  });
});

describe.concurrent("schedules, by JSON", () => {
  test("PreviewSchedule shows the fire times of an unsaved job, deferred by its calendars", async () => {
    const calendars = [{ name: "mondays", outside: "OUTSIDE_DEFER" }];
    const request = { job: { schedules: DAILY, calendars }, after: "2026-01-06T00:00:00Z", count: 1 };
    const { fireTimes: found } = await scene.call("ScheduleService/PreviewSchedule", request);
    expect(found).toMatchObject([
      {
        nominalTime: "2026-01-06T08:00:00Z",
        effectiveTime: "2026-01-12T08:00:00Z",
        localTime: "2026-01-06T09:00:00",
        utcOffset: "+01:00",
      },
    ]);
  });

  test("SimulateSchedule simulates an outage and a pause", async () => {
    const { fireTimes: found } = await scene.call("ScheduleService/SimulateSchedule", {
      job: { schedules: [{ cron: { expression: "0 * * * *" } }], catchupWindow: "3600s" },
      startTime: "2026-01-05T00:00:00Z",
      endTime: "2026-01-05T06:30:00Z",
      outages: [{ startTime: "2026-01-05T00:30:00Z", endTime: "2026-01-05T02:30:00Z" }],
      pauses: [{ startTime: "2026-01-05T03:30:00Z", endTime: "2026-01-05T04:30:00Z" }],
    });
    const verdicts = found.map(({ nominalTime, verdict, reason }: Json) => [
      nominalTime.slice(11, 13),
      verdict.replace("VERDICT_", ""),
      reason.replace("VERDICT_REASON_", ""),
    ]);
    expect(verdicts.slice(-6)).toEqual([
      ["01", "MISSED", "CATCHUP_WINDOW"],
      ["02", "TRIGGERED", "UNSPECIFIED"],
      ["03", "TRIGGERED", "UNSPECIFIED"],
      ["04", "SKIPPED", "PAUSED"],
      ["05", "TRIGGERED", "UNSPECIFIED"],
      ["06", "TRIGGERED", "UNSPECIFIED"],
    ]);
  });

  test("ListZoneDataImpacts names the release in effect, as every trigger and GetServerInfo do", async () => {
    const { zoneDataVersion, limits } = await scene.call("SystemService/GetServerInfo", {});
    expect(zoneDataVersion).toMatch(/^\d{4}[a-z]$/);
    expect(limits.maxPageSize).toBeGreaterThan(0);
    const impacts = await scene.call("ScheduleService/ListZoneDataImpacts", {});
    expect(impacts).toMatchObject({ zoneDataVersion, nextZoneDataVersion: "", impacts: [] });
    const { triggers } = await scene.call("TriggerService/ListTriggers", {});
    expect(triggers.length).toBeGreaterThan(0);
    for (const trigger of triggers) expect(trigger).toMatchObject({ zoneDataVersion });
  });
});

describe.concurrent("the ledger, by JSON", () => {
  test("ListFireTimes and ExplainFireTime say what happened at a fire time", async () => {
    const { id, nominalMs } = await scene.arrived("ticker");
    const nominalTime = iso(nominalMs);
    const [entry] = await fireTimes("ticker", { startTime: nominalTime, endTime: iso(nominalMs + 1_000) });
    expect(entry).toMatchObject({ verdict: "VERDICT_TRIGGERED", trigger: { id, job: "ticker" } });
    const [ahead] = await fireTimes("ticker", { startTime: iso(inSeconds(60)), endTime: iso(inSeconds(70)) });
    expect(ahead).toMatchObject({ verdict: "VERDICT_UPCOMING" });
    const explained = await scene.call("LedgerService/ExplainFireTime", { job: "ticker", nominalTime });
    expect(explained).toMatchObject({
      verdict: "VERDICT_TRIGGERED",
      explanation: expect.stringContaining(id),
    });
  });

  test("SkipFireTime leaves out a fire time, and the next webhook counts it", async () => {
    const skippedMs = inSeconds(3);
    const request = { job: "ticker", nominalTime: iso(skippedMs) };
    const { fireTime } = await scene.call("LedgerService/SkipFireTime", request);
    const skipped = { verdict: "VERDICT_SKIPPED", reason: "VERDICT_REASON_SKIPPED_BY_REQUEST" };
    expect(fireTime).toMatchObject(skipped);
    const next = await scene.arrived("ticker", ({ nominalMs }) => nominalMs === skippedMs + 1_000);
    expect(next.body.data).toMatchObject({
      previousNominalTime: iso(skippedMs - 1_000),
      previousVerdict: { skipped: 1, missed: 0 },
    });
    expect(
      scene.receiver.requests.filter(({ job, nominalMs }) => job === "ticker" && nominalMs === skippedMs),
    ).toEqual([]);
    expect(await scene.call("LedgerService/ExplainFireTime", request)).toMatchObject(skipped);
  });
});

describe.concurrent("a pause, by JSON", () => {
  test("PauseJob with until ends on its own, and the next webhook counts the skipped fire times", async () => {
    await scene.createJob("pausing");
    await scene.arrived("pausing");
    const untilMs = inSeconds(3);
    const { job } = await scene.call("JobService/PauseJob", {
      name: "pausing",
      note: "lunch",
      until: iso(untilMs),
    });
    expect(job).toMatchObject({ state: "JOB_STATE_PAUSED", pauseNote: "lunch" });
    const pausedMs = Date.parse(job.updateTime);
    const next = await scene.arrived("pausing", ({ nominalMs }) => nominalMs === untilMs);
    const within = (ms: number) => ms > pausedMs && ms < untilMs;
    expect(
      scene.receiver.requests.filter(({ job: of, nominalMs }) => of === "pausing" && within(nominalMs)),
    ).toEqual([]);
    expect(next.body.data.previousVerdict).toEqual({
      skipped: (untilMs - Math.floor(pausedMs / 1_000) * 1_000) / 1_000 - 1,
      missed: 0,
    });
    const [entry] = await fireTimes("pausing", { startTime: iso(untilMs - 1_000), endTime: iso(untilMs) });
    expect(entry).toMatchObject({ verdict: "VERDICT_SKIPPED", reason: "VERDICT_REASON_PAUSED" });
  });
});

describe.concurrent("an overlap policy, by JSON", () => {
  test("a fire time that waits is delivered when the earlier trigger ends, without another fire time of the job", async () => {
    const [firstMs, secondMs] = [inSeconds(3), inSeconds(4)];
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    scene.receiver.answer("/buffering", async (number) => {
      if (number === 1) await held;
      return { status: 200 };
    });
    await scene.createJob("buffering", {
      schedules: [firstMs, secondMs].map((ms) => ({ once: { time: iso(ms) } })),
      overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE",
    });
    const ticked = (afterMs: number) => scene.arrived("ticker", ({ nominalMs }) => nominalMs >= afterMs);
    await scene.receiver.waitFor((requests) => requests.some(({ job }) => job === "buffering"));
    await ticked(secondMs + 2_000);
    expect(scene.receiver.requests.filter(({ job }) => job === "buffering")).toHaveLength(1);
    release();
    // Unless it is woken, the job looks for the end 30 s after its second fire time.
    const second = await scene.receiver.waitFor(
      (requests) => requests.find(({ job, nominalMs }) => job === "buffering" && nominalMs === secondMs),
      20_000,
    );
    expect(second.body.data).toMatchObject({ seq: 2 });
  });
});

describe("by the SDK", () => {
  test("the ledger lists, explains and skips fire times", async () => {
    const { id, nominalMs } = await scene.arrived("ticker");
    const nominalTime = timestampFromDate(new Date(nominalMs));
    const endTime = timestampFromDate(new Date(nominalMs + 1));
    const listed = await scene.client.raw.ledger.listFireTimes({
      job: "ticker",
      startTime: nominalTime,
      endTime,
    });
    expect(listed.fireTimes).toMatchObject([{ verdict: Verdict.TRIGGERED, trigger: { id } }]);
    const { explanation } = await scene.client.raw.ledger.explainFireTime({ job: "ticker", nominalTime });
    expect(explanation).toContain(id);
    const ahead = timestampFromDate(new Date(inSeconds(30)));
    const { fireTime } = await scene.client.raw.ledger.skipFireTime({ job: "ticker", nominalTime: ahead });
    expect(fireTime).toMatchObject({ verdict: Verdict.SKIPPED });
  });

  test("schedules and calendars can be previewed", async () => {
    const source = { case: "name" as const, value: "opening" };
    const { fireTimes: found } = await scene.client.raw.schedules.previewSchedule({ source, count: 1 });
    const opening = found[0]?.nominalTime ?? timestampFromDate(new Date(0));
    expect(await scene.client.raw.calendars.checkCalendar({ name: "mondays", time: opening })).toMatchObject({
      open: true,
    });
    const endTime = timestampFromDate(new Date(timestampDate(opening).getTime() + 1));
    const simulated = await scene.client.raw.schedules.simulateSchedule({ source, endTime });
    expect(simulated.fireTimes).toMatchObject([{ nominalTime: opening, verdict: Verdict.TRIGGERED }]);
    const { zoneDataVersion } = await scene.client.raw.schedules.listZoneDataImpacts({});
    expect(await scene.client.raw.system.getServerInfo({})).toMatchObject({ zoneDataVersion });
  });
});

test("AuditLedger finds no difference in any of these jobs, by JSON and by the SDK", async () => {
  const { jobs } = await scene.client.raw.jobs.listJobs({});
  for (const { name: job } of jobs) {
    expect(await scene.call("LedgerService/AuditLedger", { job })).toMatchObject({ differences: [] });
    expect((await scene.client.raw.ledger.auditLedger({ job })).differences).toEqual([]);
  }
  const { fireTimeCount } = await scene.call("LedgerService/AuditLedger", { job: "ticker" });
  expect(Number(fireTimeCount)).toBeGreaterThan(5);
  expect(scene.receiver.strays).toEqual([]);
});
