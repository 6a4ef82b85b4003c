import type { Calendar } from "../../cron/calendar.ts";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { failure } from "../../mesh/errors.ts";
import type { ZoneData, ZoneRelease } from "../zones/zone-data.ts";
import {
  type CalendarVersionRow,
  calendarAskSettling,
  calendarLockForReference,
  calendarSpecs,
  calendarVersions,
  jobCalendarsDeleteOthers,
  jobCalendarsInsert,
} from "./calendars.sql.ts";
import { compileCalendar, fromCalendarSpecJson } from "./spec.ts";

/** A job's reference to a calendar. */
export interface CalendarReference {
  readonly name: string;
  /** What happens to a fire time while the calendar is closed: it is skipped, or waits for the next opening. */
  readonly outside: "SKIP" | "DEFER";
}

/** Where the zone data of calendars comes from. */
type Releases = Pick<ZoneData, "release">;

/** A job's project and its references to calendars. */
export interface CalendarsOfJob {
  readonly projectId: string;
  readonly references: readonly CalendarReference[];
}

/** A calendar in its current version. */
export interface CurrentCalendar {
  readonly uid: string;
  readonly version: number;
  readonly calendar: Calendar;
}

// A version never changes, so an entry never becomes stale. Which version is current is read from the database at every
// use. A compiled calendar with 5,000 dates takes at most about 200 KiB.
const MAX_COMPILED = 1_000;
const compiled = new Map<string, Calendar>();

/**
 * Returns the gates of a job: its calendars in their current versions. Call it again at every use, in the transaction
 * that uses the gates, so that every scheduler sees a changed calendar. It costs one short statement; none for a job
 * without calendars. Throws CALENDAR_NOT_FOUND, naming the field (`job.calendars[0].name`).
 */
export async function gatesOf(
  on: Queryable,
  zoneData: Releases,
  projectId: string,
  references: readonly CalendarReference[],
): Promise<CalendarGate[]> {
  if (references.length === 0) return [];
  const current = await currentCalendars(
    on,
    zoneData,
    references.map(({ name }) => ({ projectId, name })),
  );
  return toGates({ projectId, references }, current);
}

/**
 * Like `gatesOf`, for many jobs with one statement, in their order. A job gets undefined if one of its calendars cannot
 * be compiled, or does not exist (which cannot happen while the job refers to it).
 */
export async function gatesOfMany(
  on: Queryable,
  zoneData: Releases,
  jobs: readonly CalendarsOfJob[],
): Promise<(CalendarGate[] | undefined)[]> {
  const wanted = jobs.flatMap(({ projectId, references }) =>
    references.map(({ name }) => ({ projectId, name })),
  );
  if (wanted.length === 0) return jobs.map(() => []);
  const current = await currentCalendars(on, zoneData, wanted);
  return jobs.map((job) => {
    const complete = job.references.every(({ name }) => current.has(calendarKey(job.projectId, name)));
    return complete ? toGates(job, current) : undefined;
  });
}

function toGates(job: CalendarsOfJob, current: ReadonlyMap<string, CurrentCalendar>): CalendarGate[] {
  return job.references.map(({ name, outside }, index) => {
    const found = current.get(calendarKey(job.projectId, name));
    if (found === undefined) throw calendarNotFound(name, `job.calendars[${index}].name`);
    return { name, outside, calendar: found.calendar };
  });
}

/**
 * Returns calendars in their current versions, by `calendarKey(projectId, name)`. Calendars that do not exist, are
 * deleted or cannot be compiled are left out.
 */
export async function currentCalendars(
  on: Queryable,
  zoneData: Releases,
  wanted: readonly { readonly projectId: string; readonly name: string }[],
): Promise<Map<string, CurrentCalendar>> {
  const distinct = [
    ...new Map(wanted.map((each) => [calendarKey(each.projectId, each.name), each])).values(),
  ];
  const rows = await on.query(calendarVersions, [
    distinct.map(({ projectId }) => projectId),
    distinct.map(({ name }) => name),
  ]);
  const calendars = await compiledVersions(on, zoneData, rows);
  const found = new Map<string, CurrentCalendar>();
  for (const row of rows) {
    const calendar = calendars.get(versionKey(row));
    if (calendar === undefined) continue;
    found.set(calendarKey(row.project_id, row.name), { uid: row.uid, version: row.version, calendar });
  }
  return found;
}

/**
 * Returns compiled versions of calendars, by `versionKey`. Versions without a row, and versions that cannot be
 * compiled, are left out.
 */
export async function compiledVersions(
  on: Queryable,
  zoneData: Releases,
  rows: readonly Pick<CalendarVersionRow, "uid" | "version">[],
): Promise<Map<string, Calendar>> {
  const missing = rows.filter((row) => !compiled.has(versionKey(row)));
  const read = new Map<string, Calendar>();
  if (missing.length > 0) {
    const values = [missing.map(({ uid }) => uid), missing.map(({ version }) => version)];
    for (const row of await on.query(calendarSpecs, values)) {
      const calendar = compileOrNone(row.spec, () => zoneData.release(row.zone_data));
      if (calendar !== undefined) read.set(versionKey(row), calendar);
    }
  }
  const found = new Map<string, Calendar>();
  for (const row of rows) {
    const key = versionKey(row);
    const calendar = read.get(key) ?? compiled.get(key);
    if (calendar === undefined) continue;
    keep(key, calendar);
    found.set(key, calendar);
  }
  return found;
}

// A calendar may be in a zone that this process does not know, or its text may be damaged. Only the jobs that refer to
// it must fail then, and they report it.
function compileOrNone(spec: string, release: () => ZoneRelease): Calendar | undefined {
  try {
    return compileCalendar(fromCalendarSpecJson(spec), release());
  } catch {
    return undefined;
  }
}

function keep(key: string, calendar: Calendar): void {
  compiled.delete(key);
  compiled.set(key, calendar);
  if (compiled.size <= MAX_COMPILED) return;
  for (const oldest of compiled.keys()) {
    compiled.delete(oldest);
    return;
  }
}

/** Returns the key of a version in the result of `compiledVersions`. */
export function versionKey(row: Pick<CalendarVersionRow, "uid" | "version">): string {
  return `${row.uid}/${row.version}`;
}

/** Returns the key of a calendar in the result of `currentCalendars`. */
export function calendarKey(projectId: string, name: string): string {
  return `${projectId}/${name}`;
}

/** A job and the calendars that its current revision names. */
export interface Binding {
  readonly jobUid: string;
  readonly names: readonly BoundName[];
}

/** The name of a calendar as a job uses it. */
export interface BoundName {
  readonly name: string;
  /** The field that holds it, such as `job.calendars[0].name`. */
  readonly field: string;
  /** The version that the revision holds a copy of, if any. If it is an old one, the job is settled again soon. */
  readonly version?: number | undefined;
}

/**
 * Records which calendars jobs of one project refer to. Call it in the transaction that writes their revision, before
 * the calendars are used. Until that transaction ends, nobody can change or delete the calendars: of a change of the
 * job and a change of the calendar, the second sees the first. `bindings` need not name new jobs without calendars.
 * Throws CALENDAR_NOT_FOUND, naming the field.
 */
export async function bindCalendars(
  tx: Queryable,
  projectId: string,
  bindings: readonly Binding[],
): Promise<void> {
  if (bindings.length === 0) return;
  const names = [...new Set(bindings.flatMap((binding) => binding.names.map(({ name }) => name)))];
  const rows = names.length === 0 ? [] : await tx.query(calendarLockForReference, [projectId, names]);
  const byName = new Map(rows.map((row) => [row.name, row]));
  const pairs = new Map<string, { jobUid: string; uid: string; version: number }>();
  for (const { jobUid, names: named } of bindings) {
    for (const { name, field, version } of named) {
      const calendar = byName.get(name);
      if (calendar === undefined) throw calendarNotFound(name, field);
      const { uid } = calendar;
      const known = pairs.get(`${jobUid}/${uid}`)?.version ?? calendar.version;
      pairs.set(`${jobUid}/${uid}`, { jobUid, uid, version: Math.min(version ?? known, known) });
    }
  }
  const jobUids = [...pairs.values()].map(({ jobUid }) => jobUid);
  const calendarUids = [...pairs.values()].map(({ uid }) => uid);
  const versions = [...pairs.values()].map(({ version }) => version);
  const all = bindings.map(({ jobUid }) => jobUid);
  await tx.query(jobCalendarsDeleteOthers, [all, jobUids, calendarUids]);
  if (pairs.size > 0) await tx.query(jobCalendarsInsert, [jobUids, calendarUids, versions]);
  const current = new Map(rows.map(({ uid, version }) => [uid, version]));
  const behind = [...pairs.values()].filter(({ uid, version }) => version < (current.get(uid) ?? version));
  if (behind.length > 0) {
    const asked = [...new Set(behind.map(({ uid }) => uid))];
    await tx.query(calendarAskSettling, [asked, "-infinity"]);
  }
}

/** Returns the CALENDAR_NOT_FOUND error; `field` is the request field that holds the name. */
export function calendarNotFound(name: string, field = "name"): Error {
  const description = `There is no calendar named "${name}"; create it first.`;
  return failure("CALENDAR_NOT_FOUND", { calendar: name, field }, { violations: [{ field, description }] });
}
