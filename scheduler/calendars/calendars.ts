import type { Calendar } from "../../cron/calendar.ts";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { ScheduleError } from "../../cron/errors.ts";
import type { Queryable } from "../../db/pool.ts";
import { failure } from "../../mesh/errors.ts";
import type { ZoneData, ZoneRelease } from "../zones/zone-data.ts";
import {
  type CalendarVersionRow,
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
  readonly outside: "SKIP" | "DEFER";
}

/** Where the zones of calendars come from. */
type Releases = Pick<ZoneData, "release">;

/** The calendars of one job. */
export interface CalendarsOfJob {
  readonly projectId: string;
  readonly references: readonly CalendarReference[];
}

/** A calendar by the version that is in force. */
export interface CalendarInForce {
  readonly uid: string;
  readonly version: number;
  readonly calendar: Calendar;
}

// A version never changes, so nothing here ever becomes wrong: which version is in force is read at every use. A
// compiled calendar of 5,000 dates is about 200 KiB at most.
const MAX_COMPILED = 1_000;
const compiled = new Map<string, Calendar>();

/**
 * The gates of a job: its calendars in the versions in force now. Throws CALENDAR_NOT_FOUND, naming the field
 * (`job.calendars[0].name`). To be asked again at every use, in the transaction that uses it: a change of a calendar
 * is seen by every scheduler that way. It costs one short statement, and none for a job without calendars.
 */
export async function gatesOf(
  on: Queryable,
  zoneData: Releases,
  projectId: string,
  references: readonly CalendarReference[],
): Promise<CalendarGate[]> {
  if (references.length === 0) return [];
  const inForce = await calendarsInForce(
    on,
    zoneData,
    references.map(({ name }) => ({ projectId, name })),
  );
  return toGates({ projectId, references }, inForce);
}

/**
 * As `gatesOf` for many jobs by one statement, in their order. A job that refers to a calendar which is not there
 * (it cannot be deleted while a living job refers to it) gets undefined.
 */
export async function gatesOfMany(
  on: Queryable,
  zoneData: Releases,
  jobs: readonly CalendarsOfJob[],
): Promise<(CalendarGate[] | undefined)[]> {
  const wanted = jobs.flatMap(({ projectId, references }) =>
    references.map(({ name }) => ({ projectId, name })),
  );
  const inForce =
    wanted.length === 0 ? new Map<string, CalendarInForce>() : await calendarsInForce(on, zoneData, wanted);
  return jobs.map((job) => {
    const complete = job.references.every(({ name }) => inForce.has(keyOf(job.projectId, name)));
    return complete ? toGates(job, inForce) : undefined;
  });
}

function toGates(job: CalendarsOfJob, inForce: ReadonlyMap<string, CalendarInForce>): CalendarGate[] {
  return job.references.map(({ name, outside }, index) => {
    const found = inForce.get(keyOf(job.projectId, name));
    if (found === undefined) throw calendarNotFound(name, `job.calendars[${index}].name`);
    return { name, outside, calendar: found.calendar };
  });
}

/**
 * The living calendars in force of these names, by `keyOf(projectId, name)`; those that are not there, and
 * those that cannot be compiled, are left out.
 */
export async function calendarsInForce(
  on: Queryable,
  zoneData: Releases,
  wanted: readonly { readonly projectId: string; readonly name: string }[],
): Promise<Map<string, CalendarInForce>> {
  const distinct = [...new Map(wanted.map((each) => [keyOf(each.projectId, each.name), each])).values()];
  const rows = await on.query(calendarVersions, [
    distinct.map(({ projectId }) => projectId),
    distinct.map(({ name }) => name),
  ]);
  const calendars = await compiledVersions(on, zoneData, rows);
  const found = new Map<string, CalendarInForce>();
  for (const row of rows) {
    const calendar = calendars.get(versionKey(row));
    if (calendar === undefined) continue;
    found.set(keyOf(row.project_id, row.name), { uid: row.uid, version: row.version, calendar });
  }
  return found;
}

/** Versions of calendars, ready to be asked, by `versionKey`. One that has no row is a fault. */
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
      const release = zoneData.release(row.zone_data);
      const calendar = compileOrNone(row.spec, release);
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

// Of a zone that this process does not know: the jobs that refer to it are in trouble, and no others.
function compileOrNone(spec: string, release: ZoneRelease): Calendar | undefined {
  try {
    return compileCalendar(fromCalendarSpecJson(spec), release);
  } catch (error) {
    if (error instanceof ScheduleError) return undefined;
    throw error;
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

/** The key of a version in what `compiledVersions` returns. */
export function versionKey(row: Pick<CalendarVersionRow, "uid" | "version">): string {
  return `${row.uid}/${row.version}`;
}

/** The key of a calendar in what `calendarsInForce` returns. */
export function keyOf(projectId: string, name: string): string {
  return `${projectId}/${name}`;
}

/** A job and the calendars that its revision in force names. */
export interface Binding {
  readonly jobUid: string;
  readonly names: readonly BoundName[];
}

/** The name of a calendar in a job. */
export interface BoundName {
  readonly name: string;
  /** The field that holds it, such as `job.calendars[0].name`. */
  readonly field: string;
  /** The version that the revision carries, if it carries one; if it is an old one, the job is settled again soon. */
  readonly version?: number | undefined;
}

/**
 * Records which calendars jobs of one project refer to, in the transaction that writes their revision, before the
 * calendars are used: until it ends, these can be neither changed nor deleted, so whichever comes second sees the
 * other. Throws CALENDAR_NOT_FOUND, naming the field. A new job without calendars need not be given.
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
}

/** The error of a calendar that is not there; `field` is the one that names it. */
export function calendarNotFound(name: string, field = "name"): Error {
  const description = `There is no calendar named "${name}"; create it first.`;
  return failure("CALENDAR_NOT_FOUND", { calendar: name, field }, { violations: [{ field, description }] });
}
