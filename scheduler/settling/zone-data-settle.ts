import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import {
  calendarByName,
  calendarLockForChange,
  calendarRaiseVersion,
  calendarVersionInsert,
} from "../calendars/calendars.sql.ts";
import { settleJob, unchanged, writeChange } from "../changes/change-job.ts";
import { lockIfLiving } from "../changes/lock-job.ts";
import { addRevision } from "../changes/write-revision.ts";
import { fromSpecJson } from "../job/job.ts";
import { jobsInZones } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { calendarsInZones, zoneDataSettled } from "../zones/zone-data.sql.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import { settleCalendar } from "./calendars-settle.ts";

/** Most jobs, or calendars, of one transaction: their rows stay locked until it ends. */
const BATCH = 100;
/** For this long after a release has come into force, a scheduler that knew of it late may still write by the one before. */
const LATE_WRITERS_MS = 60_000;

/**
 * Moves what the releases in force move: each calendar in a zone on which one differs gets a version, and each job a
 * revision, whose hours and fire times are by it. All others stay as they are, because for them both are the same. May
 * be interrupted anywhere and run again; any number of schedulers may do so at once. Returns how many jobs were moved.
 */
export async function settleZoneData(parts: Parts): Promise<number> {
  const nowMs = parts.clock.now();
  let moved = 0;
  for (const [index, row] of parts.zoneData.all().entries()) {
    if (row.settle_time !== null || row.effective_time > nowMs) continue;
    const zones = parts.zoneData.changedBy(row.version);
    const settled = parts.zoneData
      .all()
      .slice(index)
      .map(({ version }) => version);
    const release = parts.zoneData.release(row.version);
    if (zones.length > 0) {
      await moveCalendars(parts, release, zones, settled);
      moved += await moveJobs(parts, release, zones, settled);
    }
    if (nowMs >= row.effective_time + LATE_WRITERS_MS)
      await parts.database.query(zoneDataSettled, [row.version, toSqlTime(nowMs)]);
  }
  if (moved > 0) parts.wake();
  return moved;
}

async function moveCalendars(
  parts: Parts,
  release: ZoneRelease,
  zones: readonly string[],
  settled: readonly string[],
): Promise<void> {
  for (;;) {
    const found = await parts.database.query(calendarsInZones, [zones, settled, BATCH]);
    for (const { project_id: projectId, name } of found) {
      await parts.database.transaction(async (tx) => {
        await tx.query(calendarLockForChange, [projectId, name]);
        const [row] = await tx.query(calendarByName, [projectId, name]);
        // Another scheduler was faster, or a customer's change was.
        if (row === undefined || settled.includes(row.zone_data)) return;
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

async function moveJobs(
  parts: Parts,
  release: ZoneRelease,
  zones: readonly string[],
  settled: readonly string[],
): Promise<number> {
  let moved = 0;
  for (let afterUid = ""; ; ) {
    const found = await parts.database.query(jobsInZones, [zones, settled, afterUid, BATCH]);
    if (found.length > 0) {
      await parts.database.transaction(async (tx) => {
        for (const job of found) if (await moveJob(parts, tx, job, { release, settled })) moved += 1;
      });
    }
    afterUid = found.at(-1)?.uid ?? "";
    if (found.length < BATCH) return moved;
  }
}

async function moveJob(
  parts: Parts,
  tx: Queryable,
  reference: { readonly project_id: string; readonly name: string },
  to: { readonly release: ZoneRelease; readonly settled: readonly string[] },
): Promise<boolean> {
  const row = await lockIfLiving(tx, reference);
  // Another scheduler was faster, or a customer's change was.
  if (row === undefined || to.settled.includes(row.zone_data)) return false;
  const settledJob = await settleJob(tx, parts, row);
  const revision = row.revision + 1;
  const zoneData = to.release.version;
  await addRevision(tx, settledJob, { number: revision, spec: row.spec, actor: "", zoneData });
  const schedule = compileSchedule(fromSpecJson(row.spec), row.uid, { zoneData: to.release });
  await writeChange(tx, parts, settledJob, { ...unchanged(parts, settledJob), revision, schedule });
  return true;
}
