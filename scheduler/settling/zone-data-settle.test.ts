import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ZoneSource, zoneOffsets } from "../../cron/zone-offsets.ts";
import { fromTable, toTable } from "../../cron/zone-table.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { CreateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { ListZoneDataImpactsRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { createCalendar } from "../calendars/change.ts";
import { readCalendar } from "../calendars/read.ts";
import { createJob } from "../changes/create-job.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { readPage } from "../ledger/list-fire-times.ts";
import { getRevision } from "../revisions/read.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { zoneOffsetsInsert, zoneOffsetsZones } from "../zones/zone-data.sql.ts";
import { createZoneData, ownRelease, tablesOf, type ZoneRelease } from "../zones/zone-data.ts";
import { keepFirstRelease, recordRelease } from "../zones/zone-data-record.ts";
import { createCalendarSettler } from "./calendars-settle.ts";
import type { FailedJob } from "./job-set.ts";
import { listZoneDataImpacts } from "./zone-data-impacts.ts";
import { settleZoneData } from "./zone-data-settle.ts";

const DAY_MS = 86_400_000;
const NOTICE_MS = DAY_MS;
// Two days before Paris puts its clocks forward, on 2027-03-28 at 01:00 UTC.
const START = Date.UTC(2027, 2, 26, 12);
const CHANGE_SECOND = Date.UTC(2027, 2, 28, 1) / 1000;
const OWN = ownRelease();

/** What a parliament may decide: Paris stays on winter time from 2027 on. */
const winterForEver: ZoneSource = (name) => {
  const own = zoneOffsets(name);
  return name === "Europe/Paris"
    ? fromTable(
        own,
        toTable(own).filter(([second]) => second < CHANGE_SECOND),
      )
    : own;
};
const NEXT: ZoneRelease = { version: "2099z", zones: winterForEver };

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
  await keep("Europe/Paris", "America/New_York");
});
afterEach(() => bench.close());

/** Records this process's release as the first, with what it says of some zones. */
async function keep(...zones: string[]): Promise<void> {
  const { database } = bench.parts;
  await recordRelease(database, OWN, { nowMs: START - 30 * DAY_MS, noticeMs: NOTICE_MS });
  const tables = tablesOf(OWN, zones);
  await database.query(zoneOffsetsInsert, [OWN.version, [...tables.keys()], [...tables.values()]]);
  await bench.parts.zoneData.refresh();
}

async function recordNext(release: ZoneRelease = NEXT) {
  const nowMs = bench.parts.clock.now();
  const recorded = await recordRelease(bench.parts.database, release, { nowMs, noticeMs: NOTICE_MS });
  await bench.parts.zoneData.refresh();
  return recorded;
}

const dailyAt9 = (name: string, timeZone: string): MessageInitShape<typeof JobSchema> => ({
  name,
  schedules: [{ timeZone, kind: { case: "cron", value: { expression: "0 9 * * *" } } }],
  target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
});
const daily = (name: string, timeZone: string) => bench.createJob(dailyAt9(name, timeZone));
const again = async (job: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, job.uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};
const impacts = (pageToken = "", pageSize = 0) =>
  listZoneDataImpacts(
    bench.parts,
    PROJECT,
    create(ListZoneDataImpactsRequestSchema, { pageToken, pageSize }),
  );
const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
/** Ticks and lets triggers succeed, a step at a time, up to an instant. */
async function run(untilMs: number, ...jobs: JobRow[]): Promise<void> {
  for (let now = bench.parts.clock.now(); now <= untilMs; now += 3_600_000) {
    bench.setTime(now);
    while ((await bench.tick.run()).more);
    for (const { uid } of jobs) await bench.succeed(uid);
  }
}
/** Makes copies of a job; with `part`, their uids and names hold it. */
async function copies(job: Promise<JobRow>, count: number, part = ""): Promise<void> {
  const admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
  await copyJob(admin, (await job).uid, count, part);
  await admin.end();
}
/** The parts of the bench, with a look at the rows of each statement outside transactions. */
function watching(look: (statement: string, rows: readonly unknown[]) => void): typeof bench.parts {
  const { database } = bench.parts;
  const watched: typeof database = {
    ...database,
    query: async (statement, values) => {
      const rows = await database.query(statement, values);
      look(statement.name, rows);
      return rows;
    },
  };
  return { ...bench.parts, database: watched };
}
/** Settles the jobs of changed calendars, as the background does. */
async function settleCalendars(): Promise<void> {
  const settler = createCalendarSettler(bench.parts, () => {});
  while ((await settler.round()).more);
}
const fired = async (job: JobRow) => (await bench.triggersOf(job.uid)).map(({ atMs }) => iso(atMs));

describe("a new release of the zone database", () => {
  test("takes effect after its notice period, at the same instant for every scheduler", async () => {
    const { effectiveMs, changed } = await recordNext();
    expect(changed).toEqual(["Europe/Paris"]);
    expect(effectiveMs).toBe(START + NOTICE_MS);
    const other = createZoneData(bench.parts.database, NEXT);
    await other.refresh();
    for (const zoneData of [bench.parts.zoneData, other]) {
      expect(zoneData.inForce(effectiveMs - 1).version).toBe(OWN.version);
      expect(zoneData.coming(effectiveMs - 1)).toEqual({ version: NEXT.version, effectiveMs });
      expect(zoneData.inForce(effectiveMs).version).toBe(NEXT.version);
      expect(zoneData.coming(effectiveMs)).toBeNull();
    }
  });

  test("is used by a process that ships the old release, and the old one by a process that ships the new", async () => {
    await recordNext();
    const other = createZoneData(bench.parts.database, NEXT);
    await other.refresh();
    for (const zoneData of [bench.parts.zoneData, other]) {
      for (const [version, zones] of [
        [OWN.version, OWN.zones],
        [NEXT.version, NEXT.zones],
      ] as const) {
        for (const zone of ["Europe/Paris", "America/New_York"])
          expect(toTable(zoneData.release(version).zones(zone))).toEqual(toTable(zones(zone)));
      }
    }
  });

  test("is recorded once, and not by a process that ships an older release", async () => {
    expect((await recordNext()).isNew).toBe(true);
    expect((await recordNext()).isNew).toBe(false);
    expect((await recordNext({ version: "1999a", zones: winterForEver })).isNew).toBe(false);
    expect(bench.parts.zoneData.all().map(({ version }) => version)).toEqual([OWN.version, NEXT.version]);
  });

  test("that is older is compared with the release in effect, zone by zone", async () => {
    const old = createZoneData(bench.parts.database, { version: "1999a", zones: winterForEver });
    await old.refresh();
    const paris = old.inForce(START).zones("Europe/Paris");
    expect(toTable(paris)).toEqual(toTable(OWN.zones("Europe/Paris")));
  });

  test("is compared with the first release, which is stored zone by zone, however often storing is interrupted", async () => {
    const { database } = bench.parts;
    const { signal } = new AbortController();
    const names = ["Europe/Paris", "Asia/Tokyo", "Pacific/Apia"];
    const kept = async ({ version }: ZoneRelease) =>
      (await database.query(zoneOffsetsZones, [version])).map(({ zone }) => zone).sort();
    for (let times = 0; times < 2; times++) {
      await keepFirstRelease(database, OWN, { pauseMs: 0, signal, names });
      expect(await kept(OWN)).toEqual(["America/New_York", "Asia/Tokyo", "Europe/Paris", "Pacific/Apia"]);
    }
    await keepFirstRelease(database, NEXT, { pauseMs: 0, signal, names });
    expect(await kept(NEXT)).toEqual([]);
  });
});

describe("the impact report", () => {
  test("is empty while no release waits", async () => {
    await daily("paris", "Europe/Paris");
    expect(await impacts()).toMatchObject({
      zoneDataVersion: OWN.version,
      nextZoneDataVersion: "",
      impacts: [],
    });
  });

  test("names the jobs whose fire times will move, and how, before the release takes effect; it changes nothing", async () => {
    const paris = await daily("paris", "Europe/Paris");
    await daily("york", "America/New_York");
    const { effectiveMs } = await recordNext();
    const report = await impacts();
    expect(report).toMatchObject({
      zoneDataVersion: OWN.version,
      nextZoneDataVersion: NEXT.version,
      nextZoneDataTime: timestampFromMs(effectiveMs),
      timeZones: ["Europe/Paris"],
    });
    expect(report.impacts.map(({ job }) => job)).toEqual(["paris"]);
    const difference = report.impacts[0]?.difference;
    const first = (times: readonly Parameters<typeof timestampMs>[0][] | undefined) =>
      times?.[0] && iso(timestampMs(times[0]));
    expect(first(difference?.added)).toBe("2027-03-28T08:00:00.000Z");
    expect(first(difference?.removed)).toBe("2027-03-28T07:00:00.000Z");
    // Two summers of 31 weeks.
    expect(difference?.addedCount).toBe(difference?.removedCount);
    expect(difference?.addedCount).toBeGreaterThan(400);
    expect(await settleZoneData(bench.parts)).toBe(0);
    expect(await again(paris)).toEqual(paris);
  });

  test("names jobs that a calendar moves", async () => {
    const calendar = create(CalendarSchema, {
      name: "office",
      timeZone: "Europe/Paris",
      windows: [{ days: ["MONDAY"], start: "09:00", end: "17:00" }],
    });
    await createCalendar(bench.parts, PROJECT, calendar);
    await bench.createJob({
      name: "gated",
      schedules: [{ kind: { case: "cron", value: { expression: "30 7 * * *" } } }],
      calendars: [{ name: "office" }],
      target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    });
    await recordNext();
    const { impacts: moved } = await impacts();
    // 07:30 UTC is within the hours in summer, and no more without it.
    expect(moved.map(({ job, difference }) => [job, difference?.addedCount])).toEqual([["gated", 0]]);
    expect(moved[0]?.difference?.removedCount).toBeGreaterThan(50);
  });

  test("comes in pages, by name", async () => {
    for (const name of ["c", "a", "b"]) await daily(name, "Europe/Paris");
    await recordNext();
    const names: string[] = [];
    for (let token = ""; ; ) {
      const page = await impacts(token, 1);
      names.push(...page.impacts.map(({ job }) => job));
      token = page.nextPageToken;
      if (token === "") break;
    }
    expect(names).toEqual(["a", "b", "c"]);
  });

  test("ends a page after two seconds, with a token to go on", async () => {
    for (const name of ["c", "a", "b", "d"]) await daily(name, "Europe/Paris");
    await recordNext();
    let timeMs = 0;
    const elapsedMs = () => {
      timeMs += 800;
      return timeMs;
    };
    const pages: string[][] = [];
    for (let pageToken = ""; ; ) {
      const request = create(ListZoneDataImpactsRequestSchema, { pageToken });
      const page = await listZoneDataImpacts(bench.parts, PROJECT, request, { elapsedMs });
      pages.push(page.impacts.map(({ job }) => job));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flat()).toEqual(["a", "b", "c", "d"]);
  });

  test("looks at 500 jobs with one statement, whether the release changes them or not", async () => {
    await copies(daily("other", "America/New_York"), 600);
    await daily("paris", "Europe/Paris");
    await recordNext();
    const looked: unknown[] = [];
    const parts = watching((statement, rows) => {
      if (statement === "jobsOfProjectInZones") looked.push(rows.length);
    });
    const page = await listZoneDataImpacts(parts, PROJECT, create(ListZoneDataImpactsRequestSchema));
    expect(page.impacts.map(({ job }) => job)).toEqual(["paris"]);
    expect(page.nextPageToken).toBe("");
    expect(looked).toEqual([500, 102]);
  });

  test("stops comparing when the caller has gone", async () => {
    for (const name of ["a", "b", "c"]) await daily(name, "Europe/Paris");
    await recordNext();
    const gone = new AbortController();
    const parts = watching((statement) => {
      if (statement === "jobsOfProject") gone.abort();
    });
    const request = create(ListZoneDataImpactsRequestSchema);
    const page = await listZoneDataImpacts(parts, PROJECT, request, { signal: gone.signal });
    expect(page.impacts).toEqual([]);
    expect(page.nextPageToken).not.toBe("");
  });
});

describe("a release that takes effect", () => {
  test("gives the affected jobs a new revision, they fire by it, and the audit finds no difference", async () => {
    const paris = await daily("paris", "Europe/Paris");
    const york = await daily("york", "America/New_York");
    const { effectiveMs } = await recordNext();
    await run(effectiveMs - 1, paris, york);
    bench.setTime(effectiveMs);
    expect(await settleZoneData(bench.parts)).toBe(1);
    expect(await again(paris)).toMatchObject({ revision: 2, zone_data: NEXT.version });
    expect(await again(york)).toMatchObject({ revision: 1, zone_data: OWN.version });
    expect(await settleZoneData(bench.parts)).toBe(0);
    await run(Date.UTC(2027, 2, 29, 20), paris, york);
    expect(await fired(paris)).toEqual([
      "2027-03-27T08:00:00.000Z",
      "2027-03-28T08:00:00.000Z",
      "2027-03-29T08:00:00.000Z",
    ]);
    for (const [job, fireTimeCount] of [
      [paris, 3],
      [york, 4],
    ] as const) {
      const audit = await auditJob(bench.parts, job, START, bench.parts.clock.now());
      expect(audit).toMatchObject({ fireTimeCount, differences: [] });
    }
    const { revision } = await getRevision(bench.parts, PROJECT, { name: "paris", number: 2 });
    expect(revision).toMatchObject({ actor: "", difference: { addedCount: 7, removedCount: 7 } });
  });

  test("leaves on every trigger the release by which its fire time was computed", async () => {
    const paris = await daily("paris", "Europe/Paris");
    const york = await daily("york", "America/New_York");
    const { effectiveMs } = await recordNext();
    await run(effectiveMs - 1, paris, york);
    bench.setTime(effectiveMs);
    await settleZoneData(bench.parts);
    await run(Date.UTC(2027, 2, 28, 20), paris, york);
    const versions = async (job: JobRow) => {
      const entries = await readPage(bench.parts, await again(job), START, bench.parts.clock.now(), 10);
      return entries.map(({ trigger }) => trigger?.zone_data);
    };
    expect(await versions(paris)).toEqual([OWN.version, NEXT.version]);
    // Both releases say the same of New York: what is in force is what it is computed by.
    expect(await versions(york)).toEqual([OWN.version, NEXT.version, NEXT.version]);
  });

  test("withdraws triggers that were handed over early under the old release", async () => {
    const effectiveMs = Date.UTC(2027, 2, 28, 6, 59, 58);
    bench.setTime(effectiveMs - NOTICE_MS);
    const paris = await daily("paris", "Europe/Paris");
    await recordNext();
    bench.setTime(effectiveMs - 1_000);
    // 09:00 in Paris by summer time lies within the look-ahead.
    await bench.tick.run();
    expect(await fired(paris)).toEqual(["2027-03-28T07:00:00.000Z"]);
    bench.setTime(effectiveMs);
    expect(await settleZoneData(bench.parts)).toBe(1);
    expect(await fired(paris)).toEqual([]);
    expect(iso((await again(paris)).next_fire_time)).toBe("2027-03-28T08:00:00.000Z");
  });

  test("gives an affected calendar a new version, and that calendar's jobs use it", async () => {
    const calendar = create(CalendarSchema, {
      name: "office",
      timeZone: "Europe/Paris",
      windows: [{ days: ["SUNDAY", "MONDAY"], start: "09:00", end: "17:00" }],
    });
    await createCalendar(bench.parts, PROJECT, calendar);
    const opens = await bench.createJob({
      name: "opens",
      schedules: [{ kind: { case: "calendarEdge", value: { calendar: "office", edge: 1 } } }],
      target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    });
    const { effectiveMs } = await recordNext();
    await run(effectiveMs - 1, opens);
    bench.setTime(effectiveMs);
    await settleZoneData(bench.parts);
    await settleCalendars();
    expect(await readCalendar(bench.parts.database, PROJECT, "office")).toMatchObject({ version: 2 });
    expect(await again(opens)).toMatchObject({ revision: 2, zone_data: NEXT.version });
    await run(Date.UTC(2027, 2, 29, 20), opens);
    expect(await fired(opens)).toEqual(["2027-03-28T08:00:00.000Z", "2027-03-29T08:00:00.000Z"]);
    const audit = await auditJob(bench.parts, opens, START, bench.parts.clock.now());
    expect(audit?.differences).toEqual([]);
  });

  test("also changes paused jobs, which stay paused", async () => {
    const paris = await daily("paris", "Europe/Paris");
    const { effectiveMs } = await recordNext();
    await pauseJob(bench.parts, { projectId: PROJECT, name: "paris" }, { note: "n", untilMs: null });
    bench.setTime(effectiveMs);
    await settleZoneData(bench.parts);
    expect(await again(paris)).toMatchObject({ state: "PAUSED", pause_note: "n", zone_data: NEXT.version });
    const resumed = await resumeJob(bench.parts, { projectId: PROJECT, name: "paris" });
    expect(iso(resumed.next_fire_time)).toBe("2027-03-28T08:00:00.000Z");
  });

  test("also changes a job that a scheduler wrote meanwhile under the old release", async () => {
    const { effectiveMs } = await recordNext();
    bench.setTime(effectiveMs);
    await settleZoneData(bench.parts);
    // As if the release were not known: the fire times are by the old one.
    const late = createZoneData(bench.parts.database, OWN);
    const job = create(JobSchema, dailyAt9("late", "Europe/Paris"));
    await createJob({ ...bench.parts, zoneData: late }, PROJECT, create(CreateJobRequestSchema, { job }));
    expect(await settleZoneData(bench.parts)).toBe(0);
    bench.setTime(effectiveMs + 61_000);
    expect(await settleZoneData(bench.parts)).toBe(1);
    await bench.parts.zoneData.refresh();
    expect(bench.parts.zoneData.all().every(({ settle_time }) => settle_time !== null)).toBe(true);
  });

  test("changes jobs page by page, and another scheduler goes on where one has stopped", async () => {
    const { effectiveMs } = await recordNext();
    await copies(daily("other", "America/New_York"), 1_500);
    await copies(daily("paris", "Europe/Paris"), 120, "paris");
    bench.setTime(effectiveMs);
    const pages: (readonly { readonly uid: string }[])[] = [];
    const stopping = new AbortController();
    const parts = watching((statement, rows) => {
      if (statement !== "jobsInZones") return;
      pages.push(rows as readonly { readonly uid: string }[]);
      if (pages.length === 2) stopping.abort();
    });
    const { signal } = stopping;
    const first = await settleZoneData(parts, { signal });
    expect(Math.max(...pages.map((page) => page.length))).toBe(1_000);
    expect(pages).toHaveLength(2);
    const second = await settleZoneData(parts);
    expect(first + second).toBe(121);
    // It did not begin again at the first job.
    expect(pages.filter((page) => page[0]?.uid === pages[0]?.[0]?.uid)).toHaveLength(1);
    expect(await settleZoneData(parts)).toBe(0);
  });

  test("changes each job once although two schedulers settle at once", async () => {
    const { effectiveMs } = await recordNext();
    await copies(daily("paris", "Europe/Paris"), 150);
    bench.setTime(effectiveMs);
    const counts = await Promise.all([settleZoneData(bench.parts), settleZoneData(bench.parts)]);
    const rest = await settleZoneData(bench.parts);
    expect(counts.reduce((sum, count) => sum + count, rest)).toBe(151);
  });

  test("waits for no job that another transaction has locked, and comes back to it", async () => {
    const { effectiveMs } = await recordNext();
    const held = await daily("held", "Europe/Paris");
    const free = await daily("free", "Europe/Paris");
    bench.setTime(effectiveMs + 61_000);
    const admin = new pg.Client({ connectionString: bench.adminUrl });
    await admin.connect();
    await admin.query("begin");
    await admin.query("select from scheduler.jobs where uid = $1 for update", [held.uid]);
    const failed: string[] = [];
    const onFailed = (jobs: readonly FailedJob[]) => failed.push(...jobs.map(({ jobUid }) => jobUid));
    expect(await settleZoneData(bench.parts, { onFailed })).toBe(1);
    expect(failed).toEqual([]);
    expect(await again(free)).toMatchObject({ revision: 2 });
    await admin.query("rollback");
    await admin.end();
    bench.setTime(effectiveMs + 122_000);
    expect(await settleZoneData(bench.parts, { onFailed })).toBe(1);
    expect(await again(held)).toMatchObject({ revision: 2 });
  });

  test("leaves a job behind that cannot be changed, and comes back to it", async () => {
    const { effectiveMs } = await recordNext();
    const good = await daily("good", "Europe/Paris");
    const bad = await daily("bad", "Europe/Paris");
    bench.setTime(effectiveMs);
    const spoil = (carry: object) =>
      bench.spoil("scheduler", "update scheduler.jobs set carry = $2 where uid = $1", [
        bad.uid,
        JSON.stringify(carry),
      ]);
    await spoil({ waiting: 7 });
    const failed: string[] = [];
    const onFailed = (jobs: readonly FailedJob[]) => failed.push(...jobs.map(({ jobUid }) => jobUid));
    expect(await settleZoneData(bench.parts, { onFailed })).toBe(1);
    expect(failed).toEqual([bad.uid]);
    expect(await again(good)).toMatchObject({ revision: 2 });
    await spoil({});
    bench.setTime(effectiveMs + 61_000);
    expect(await settleZoneData(bench.parts, { onFailed })).toBe(1);
    expect(await again(bad)).toMatchObject({ revision: 2 });
  });
});
