import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import {
  calendarAskSettling,
  calendarByName,
  calendarLockForChange,
  calendarRaiseVersion,
  calendarVersionInsert,
} from "../calendars/calendars.sql.ts";
import { jobsInZones } from "../job/jobs.sql.ts";
import {
  calendarsInZones,
  type ZoneDataPlaceRow,
  type ZoneDataRow,
  zoneDataBeginPass,
  zoneDataMovePass,
  zoneDataPlace,
  zoneDataSettled,
} from "../zones/zone-data.sql.ts";
import type { FailedJob, SettleParts } from "./job-set.ts";
import { createSetSize } from "./set-size.ts";
import { type RenewTo, renewJobs } from "./zone-revisions.ts";

/** Most calendars or jobs that one statement looks at. */
const PAGE = 1_000;
/**
 * For this long after a release takes effect, a scheduler that has not heard of it yet may still write with the release
 * before. So a release is marked as settled only after a pass that began later than this.
 */
const LATE_WRITERS_MS = 60_000;

/** Options of `settleZoneData`. */
export interface SettleZoneDataOptions {
  /** When it aborts, the pass stops after the step under way. */
  readonly signal?: AbortSignal;
  /** Called after a step with the jobs that could not be changed. */
  readonly onFailed?: (failed: readonly FailedJob[]) => void;
}

/**
 * Brings calendars and jobs up to date after a release of the zone database has taken effect. Each calendar in a zone
 * that the release changes gets a new version, and each such job a new revision. Other calendars and jobs stay as they
 * are, because the release does not change their zones. Returns how many jobs have a new revision. The jobs of the
 * changed calendars are settled in the background (`startSettling`).
 *
 * A pass looks at all calendars, then at all jobs, 1,000 in one statement, and records how far it has come. A second
 * pass, a minute later, finds what was written meanwhile with the release before. Any number of schedulers may call
 * this: their steps come one after the other. It may be interrupted at any point: the next call goes on from there.
 */
export async function settleZoneData(
  parts: SettleParts,
  options: SettleZoneDataOptions = {},
): Promise<number> {
  const nowMs = parts.clock.now();
  let settledJobs = 0;
  for (const [index, row] of parts.zoneData.all().entries()) {
    if (row.settle_time !== null || row.effective_time > nowMs) continue;
    // What was written with this release, or a later one, needs no change.
    const upToDate = parts.zoneData
      .all()
      .slice(index)
      .map(({ version }) => version);
    const zones = parts.zoneData.changedBy(row.version);
    const release = parts.zoneData.release(row.version);
    const pass = { row, zones, upToDate, release, size: createSetSize() };
    settledJobs += await runPass(parts, pass, options);
  }
  if (settledJobs > 0) parts.wake();
  return settledJobs;
}

/** A pass for one release. */
interface ReleasePass extends RenewTo {
  readonly row: ZoneDataRow;
  /** The zones that the release changes. */
  readonly zones: readonly string[];
}

async function runPass(
  parts: SettleParts,
  pass: ReleasePass,
  { signal, onFailed = () => {} }: SettleZoneDataOptions,
): Promise<number> {
  let settledJobs = 0;
  while (signal?.aborted !== true) {
    const [place] = await parts.database.query(zoneDataPlace, [pass.row.version]);
    if (place === undefined) break;
    if (isComplete(place, pass)) {
      if (!(await endOrBeginPass(parts, pass, place))) break;
      continue;
    }
    const step = await stepPass(parts, pass, place);
    if (step.failed.length > 0) onFailed(step.failed);
    settledJobs += step.settled;
    if (step.isTaken) break;
    const { version } = pass.row;
    const { pass_calendar: calendar, pass_job: job } = place;
    const hasLeftOut = step.hasLocked || step.failed.length > 0;
    const values = [version, calendar, job, step.place.calendar, step.place.job, hasLeftOut];
    await parts.database.query(zoneDataMovePass, values);
  }
  return settledJobs;
}

function isComplete(place: ZoneDataPlaceRow, { zones }: ReleasePass): boolean {
  if (place.pass_time === null || zones.length === 0) return true;
  return place.pass_calendar === null && place.pass_job === null;
}

/**
 * Marks the release as settled if its last pass has found everything, or begins a pass if one is due. Returns whether
 * one has begun.
 */
async function endOrBeginPass(
  parts: SettleParts,
  pass: ReleasePass,
  place: ZoneDataPlaceRow,
): Promise<boolean> {
  const { database, clock } = parts;
  const nowMs = clock.now();
  const { version, effective_time: effectiveMs } = pass.row;
  const finalMs = effectiveMs + LATE_WRITERS_MS;
  const { pass_time: beganMs } = place;
  const isLast = pass.zones.length === 0 ? nowMs >= finalMs : beganMs !== null && beganMs >= finalMs;
  if (isLast && !place.pass_failed) {
    await database.query(zoneDataSettled, [version, toSqlTime(nowMs)]);
    return false;
  }
  const dueMs = beganMs === null ? effectiveMs : Math.max(finalMs, beganMs + LATE_WRITERS_MS);
  if (pass.zones.length === 0 || nowMs < dueMs) return false;
  const values = [version, toSqlTime(nowMs), toSqlTimeOrNull(beganMs)];
  await database.query(zoneDataBeginPass, values);
  return true;
}

/** What a step did, and where the pass is after it. */
interface Step {
  readonly isTaken: boolean;
  readonly settled: number;
  readonly failed: readonly FailedJob[];
  /** Whether it left out jobs that another transaction has locked. */
  readonly hasLocked: boolean;
  readonly place: { readonly calendar: string | null; readonly job: string | null };
}

async function stepPass(parts: SettleParts, pass: ReleasePass, place: ZoneDataPlaceRow): Promise<Step> {
  const { pass_calendar: calendar, pass_job: job } = place;
  if (calendar !== null)
    return {
      isTaken: false,
      settled: 0,
      failed: [],
      hasLocked: false,
      place: { calendar: await stepCalendars(parts, pass, calendar), job },
    };
  return stepJobs(parts, pass, job ?? "");
}

/** Gives each affected calendar of a page a new version under the release. Returns the last calendar; null at the end. */
async function stepCalendars(
  parts: SettleParts,
  { zones, upToDate, release }: ReleasePass,
  afterUid: string,
): Promise<string | null> {
  const page = await parts.database.query(calendarsInZones, [zones, upToDate, afterUid, PAGE]);
  for (const { project_id: projectId, name, affected } of page) {
    if (!affected) continue;
    await parts.database.transaction(async (tx) => {
      await tx.query(calendarLockForChange, [projectId, name]);
      const [row] = await tx.query(calendarByName, [projectId, name]);
      // Another scheduler has settled it meanwhile, or a customer has changed or deleted it.
      if (row === undefined || upToDate.includes(row.zone_data)) return;
      const time = toSqlTime(parts.clock.now());
      const version = row.version + 1;
      await tx.query(calendarVersionInsert, [row.uid, version, row.spec, time, release.version]);
      await tx.query(calendarRaiseVersion, [row.uid, version, time]);
      await tx.query(calendarAskSettling, [[row.uid], time]);
    });
  }
  return page.length < PAGE ? null : (page.at(-1)?.uid ?? null);
}

/** Gives the next affected jobs a new revision under the release: a set of a page, in one transaction. */
async function stepJobs(parts: SettleParts, pass: ReleasePass, afterUid: string): Promise<Step> {
  const page = await parts.database.query(jobsInZones, [pass.zones, pass.upToDate, afterUid, PAGE]);
  const affected = page.filter((job) => job.affected);
  const most = pass.size.most();
  const { isTaken, settled, failed, left, locked } = await renewJobs(parts, pass, affected.slice(0, most));
  // What follows the first job that there was no room for comes again.
  const next = affected.find((job, index) => index >= most || left.has(job));
  const last = next === undefined ? page.at(-1) : page[page.indexOf(next) - 1];
  const isAtEnd = next === undefined && page.length < PAGE;
  const place = { calendar: null, job: isAtEnd ? null : (last?.uid ?? afterUid) };
  return { isTaken, settled, failed, hasLocked: locked.length > 0, place };
}
