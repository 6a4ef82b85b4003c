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

/** Whether a job has a schedule that is bound to a calendar. */
export function hasEdges(job: Pick<Job, "schedules">): boolean {
  return job.schedules.some(({ kind }) => kind.case === "calendarEdge");
}

/**
 * A copy in which every schedule that is bound to a calendar carries it as it is now: so a revision means the same for
 * ever, and a change of the calendar is a new revision of the job. Of several that are bound to one calendar only the
 * first carries all of it. Throws CALENDAR_NOT_FOUND, naming the field. The job itself if it has no such schedule.
 */
export async function withSnapshots(on: Queryable, projectId: string, given: Job): Promise<Job> {
  if (!hasEdges(given)) return given;
  const job = clone(JobSchema, given);
  const read = new Map<string, Calendar>();
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
 * Leaves one whole copy of each calendar in a job: the schedules after the first that is bound to it keep its id,
 * version and zone. With 20 schedules and 5,000 dates that is 75 KB of a revision instead of 1.5 MB.
 */
export function shareSnapshots(job: Pick<Job, "schedules">): void {
  const carried = new Set<string>();
  for (const { edge } of edgesOf(job)) {
    if (edge.snapshot === undefined || edge.snapshot.uid === "") continue;
    const { uid, version, timeZone } = edge.snapshot;
    const key = keyOfSnapshot(edge.snapshot);
    if (carried.has(key)) edge.snapshot = create(CalendarSchema, { uid, version, timeZone });
    carried.add(key);
  }
}

// A version never changes, nor does what a release says of its zone. A job may be bound to 20 calendars of 25 KiB.
const MAX_COMPILED = 1_000;
const compiledBy = new WeakMap<ZoneRelease, Map<string, CompiledCalendar>>();

/**
 * Compiles the calendar that one of a job's schedules is bound to, as the revision has it. All schedules and jobs that
 * are bound to one version share it. Throws a ScheduleError if it is not right by this release.
 */
export function compileSnapshot(
  schedules: readonly Schedule[],
  { calendar: name, snapshot }: CalendarEdgeSchedule,
  zoneData: ZoneRelease,
): CompiledCalendar {
  if (snapshot === undefined) throw new Error(`The schedule does not carry the calendar "${name}".`);
  if (snapshot.uid === "") return compileCalendar(snapshot, zoneData);
  const key = keyOfSnapshot(snapshot);
  const compiled = compiledBy.get(zoneData) ?? new Map<string, CompiledCalendar>();
  compiledBy.set(zoneData, compiled);
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const whole = edgesOf({ schedules }).find(
    ({ edge }) => edge.snapshot !== undefined && keyOfSnapshot(edge.snapshot) === key,
  );
  const made = compileCalendar(whole?.edge.snapshot ?? snapshot, zoneData);
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(key, made);
  return made;
}

function keyOfSnapshot({ uid, version }: Pick<Calendar, "uid" | "version">): string {
  return `${uid}/${version}`;
}

/** Takes the calendars out of a job's schedules, as customers see them. */
export function dropSnapshots(job: Job): void {
  for (const { edge } of edgesOf(job)) delete edge.snapshot;
}

/** The calendars that a job's schedules are bound to, with the fields that name them and the versions they carry. */
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
