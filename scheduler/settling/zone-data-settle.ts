import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  calendarByName,
  calendarLockForChange,
  calendarRaiseVersion,
  calendarVersionInsert,
} from "../calendars/calendars.sql.ts";
import { prepareJob, unchanged, writeChange } from "../changes/change-job.ts";
import { lockIfLiving } from "../changes/lock-job.ts";
import { addRevision } from "../changes/write-revision.ts";
import { fromSpecJson } from "../job/job.ts";
import { jobsInZones } from "../job/jobs.sql.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { calendarsInZones, zoneDataSettled } from "../zones/zone-data.sql.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import { type SettleParts, settleCalendar } from "./calendars-settle.ts";

/** The most jobs, or calendars, that are read at a time. A transaction locks at most this many jobs until it ends. */
const BATCH = 100;
/**
 * For this long after a release takes effect, a scheduler that has not heard of it yet may still write with the release
 * before. So a release is marked as settled only after this time.
 */
const LATE_WRITERS_MS = 60_000;

/**
 * Brings calendars and jobs up to date after a release of the zone database has taken effect. Each calendar in a zone
 * that the release changes gets a new version, and each such job a new revision. Other calendars and jobs stay as they
 * are, because the release does not change their zones. Returns how many jobs have a new revision.
 *
 * It may be interrupted at any point and run again, and any number of schedulers may run it at once.
 */
export async function settleZoneData(parts: SettleParts): Promise<number> {
  const nowMs = parts.clock.now();
  let settledJobs = 0;
  for (const [index, row] of parts.zoneData.all().entries()) {
    if (row.settle_time !== null || row.effective_time > nowMs) continue;
    const zones = parts.zoneData.changedBy(row.version);
    // What was written with this release, or a later one, needs no change.
    const upToDate = parts.zoneData
      .all()
      .slice(index)
      .map(({ version }) => version);
    const release = parts.zoneData.release(row.version);
    if (zones.length > 0) {
      await addCalendarVersions(parts, release, zones, upToDate);
      settledJobs += await addJobRevisions(parts, release, zones, upToDate);
    }
    if (nowMs >= row.effective_time + LATE_WRITERS_MS)
      await parts.database.query(zoneDataSettled, [row.version, toSqlTime(nowMs)]);
  }
  if (settledJobs > 0) parts.wake();
  return settledJobs;
}

/** Gives each calendar in these zones a new version under the release, then settles the jobs that refer to one. */
async function addCalendarVersions(
  parts: SettleParts,
  release: ZoneRelease,
  zones: readonly string[],
  upToDate: readonly string[],
): Promise<void> {
  for (;;) {
    const found = await parts.database.query(calendarsInZones, [zones, upToDate, BATCH]);
    for (const { project_id: projectId, name } of found) {
      await parts.database.transaction(async (tx) => {
        await tx.query(calendarLockForChange, [projectId, name]);
        const [row] = await tx.query(calendarByName, [projectId, name]);
        // Another scheduler has settled it meanwhile, or a customer has changed or deleted it.
        if (row === undefined || upToDate.includes(row.zone_data)) return;
        const time = toSqlTime(parts.clock.now());
        const version = row.version + 1;
        await tx.query(calendarVersionInsert, [row.uid, version, row.spec, time, release.version]);
        await tx.query(calendarRaiseVersion, [row.uid, version, time]);
      });
    }
    if (found.length < BATCH) break;
  }
  await settleCalendar(parts, null);
}

/** Gives each job in these zones a new revision under the release. Returns how many. */
async function addJobRevisions(
  parts: SettleParts,
  release: ZoneRelease,
  zones: readonly string[],
  upToDate: readonly string[],
): Promise<number> {
  let settledJobs = 0;
  for (let afterUid = ""; ; ) {
    const found = await parts.database.query(jobsInZones, [zones, upToDate, afterUid, BATCH]);
    if (found.length > 0) {
      await parts.database.transaction(async (tx) => {
        for (const job of found)
          if (await addJobRevision(parts, tx, job, { release, upToDate })) settledJobs += 1;
      });
    }
    afterUid = found.at(-1)?.uid ?? "";
    if (found.length < BATCH) return settledJobs;
  }
}

/** Gives a job a new revision under the release. Returns false if it does not need one any more. */
async function addJobRevision(
  parts: SettleParts,
  tx: Queryable,
  reference: { readonly project_id: string; readonly name: string },
  to: { readonly release: ZoneRelease; readonly upToDate: readonly string[] },
): Promise<boolean> {
  const row = await lockIfLiving(tx, reference);
  // Another scheduler has settled it meanwhile, or a customer has changed or deleted it.
  if (row === undefined || to.upToDate.includes(row.zone_data)) return false;
  const settledJob = await prepareJob(tx, parts, row);
  const revision = row.revision + 1;
  const zoneData = to.release.version;
  await addRevision(tx, settledJob, { number: revision, spec: row.spec, actor: "", zoneData });
  const schedule = compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData: to.release });
  await writeChange(tx, parts, settledJob, { ...unchanged(parts, settledJob), revision, schedule });
  return true;
}
