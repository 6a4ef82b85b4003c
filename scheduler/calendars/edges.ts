import { clone, create } from "@bufbuild/protobuf";
import type { Calendar as CompiledCalendar } from "../../cron/calendar.ts";
import type { Queryable } from "../../db/pool.ts";
import { type Calendar, CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import type { CalendarEdgeSchedule, Schedule } from "../../gen/easycron/v1/schedule_pb.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import { calendarByName } from "./calendars.sql.ts";
import { calendarNotFound } from "./calendars.ts";
import { compileCalendar, fromCalendarSpecJson } from "./spec.ts";

/** Tells whether a job has a calendarEdge schedule: one that fires when a calendar opens or closes. */
export function hasEdges(job: Pick<Job, "schedules">): boolean {
  return job.schedules.some(({ kind }) => kind.case === "calendarEdge");
}

/**
 * Returns a copy of the job in which every calendarEdge schedule holds a snapshot of its calendar as it is now. So the
 * meaning of a revision never changes, and a change of the calendar makes a new revision of the job. Of several
 * schedules with the same calendar only the first holds a full snapshot. A job without such schedules is returned as it
 * is. `read` holds the snapshots of the project's calendars that were read before, by name: with the same one for many
 * jobs, each calendar is read once. Throws CALENDAR_NOT_FOUND, naming the field.
 */
export async function withSnapshots(
  on: Queryable,
  projectId: string,
  given: Job,
  read = new Map<string, Calendar>(),
): Promise<Job> {
  if (!hasEdges(given)) return given;
  const job = clone(JobSchema, given);
  for (const { edge, field } of edgesOf(job)) {
    const snapshot = read.get(edge.calendar) ?? (await readSnapshot(on, projectId, edge.calendar, field));
    read.set(edge.calendar, snapshot);
    edge.snapshot = snapshot;
  }
  shareSnapshots(job);
  return job;
}

async function readSnapshot(
  on: Queryable,
  projectId: string,
  name: string,
  field: string,
): Promise<Calendar> {
  const [row] = await on.query(calendarByName, [projectId, name]);
  if (row === undefined) throw calendarNotFound(name, field);
  const snapshot = fromCalendarSpecJson(row.spec);
  snapshot.uid = row.uid;
  snapshot.version = row.version;
  return snapshot;
}

/**
 * Leaves one full snapshot of each calendar in a job. The later schedules with the same calendar keep only its uid,
 * version and zone. With 20 schedules and 5,000 dates this makes a revision of 75 KB instead of 1.5 MB.
 */
export function shareSnapshots(job: Pick<Job, "schedules">): void {
  const carried = new Set<string>();
  for (const { edge } of edgesOf(job)) {
    if (edge.snapshot === undefined || edge.snapshot.uid === "") continue;
    const { uid, version, timeZone } = edge.snapshot;
    const key = snapshotKey(edge.snapshot);
    if (carried.has(key)) edge.snapshot = create(CalendarSchema, { uid, version, timeZone });
    carried.add(key);
  }
}

// A version never changes, and neither do the offsets of its zone in one release. A job may use 20 calendars of 25 KiB.
const MAX_COMPILED = 1_000;
const compiledBy = new WeakMap<ZoneRelease, Map<string, CompiledCalendar>>();

/**
 * Compiles the calendar of one of a job's calendarEdge schedules from the snapshot in the revision. All schedules and
 * jobs with the same version of the calendar share the result. Throws a ScheduleError if the calendar is not valid with
 * this zone data.
 */
export function compileSnapshot(
  schedules: readonly Schedule[],
  { calendar: name, snapshot }: CalendarEdgeSchedule,
  zoneData: ZoneRelease,
): CompiledCalendar {
  if (snapshot === undefined) throw new Error(`The schedule holds no snapshot of the calendar "${name}".`);
  if (snapshot.uid === "") return compileCalendar(snapshot, zoneData);
  const key = snapshotKey(snapshot);
  const compiled = compiledBy.get(zoneData) ?? new Map<string, CompiledCalendar>();
  compiledBy.set(zoneData, compiled);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const whole = edgesOf({ schedules }).find(
    ({ edge }) => edge.snapshot !== undefined && snapshotKey(edge.snapshot) === key,
  );
  const made = compileCalendar(whole?.edge.snapshot ?? snapshot, zoneData);
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(key, made);
  return made;
}

function snapshotKey({ uid, version }: Pick<Calendar, "uid" | "version">): string {
  return `${uid}/${version}`;
}

/** Removes the snapshots of calendars from a job, as customers do not see them. */
export function dropSnapshots(job: Job): void {
  for (const { edge } of edgesOf(job)) delete edge.snapshot;
}

/**
 * Returns the calendars of a job's calendarEdge schedules: name, field that holds the name, version of the snapshot.
 */
export function edgeNames(
  job: Pick<Job, "schedules">,
): { readonly name: string; readonly field: string; readonly version: number | undefined }[] {
  return edgesOf(job).map(({ edge, field }) => ({
    name: edge.calendar,
    field,
    version: edge.snapshot?.version,
  }));
}

function edgesOf(job: { readonly schedules: readonly Schedule[] }): {
  readonly edge: CalendarEdgeSchedule;
  readonly field: string;
}[] {
  return job.schedules.flatMap(({ kind }, index) =>
    kind.case === "calendarEdge"
      ? [{ edge: kind.value, field: `job.schedules[${index}].calendarEdge.calendar` }]
      : [],
  );
}
