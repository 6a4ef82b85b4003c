import { clone } from "@bufbuild/protobuf";
import type { Queryable } from "../db/pool.ts";
import { type Job, JobSchema } from "../gen/easycron/v1/job_pb.ts";
import type { CalendarEdgeSchedule, Schedule } from "../gen/easycron/v1/schedule_pb.ts";
import { calendarByName } from "./calendars.sql.ts";
import { calendarNotFound } from "./calendars.ts";
import { fromCalendarSpecJson } from "./calendars-spec.ts";

/** Whether a job has a schedule that is bound to a calendar. */
export function hasEdges(job: Pick<Job, "schedules">): boolean {
  return job.schedules.some(({ kind }) => kind.case === "calendarEdge");
}

/**
 * A copy in which every schedule that is bound to a calendar carries it as it is now: so a revision means the same for
 * ever, and a change of the calendar is a new revision of the job. Throws CALENDAR_NOT_FOUND, naming the field. The
 * job itself if it has no such schedule.
 */
export async function withSnapshots(on: Queryable, projectId: string, given: Job): Promise<Job> {
  if (!hasEdges(given)) return given;
  const job = clone(JobSchema, given);
  for (const { edge, field } of edgesOf(job)) {
    const [row] = await on.query(calendarByName, [projectId, edge.calendar]);
    if (row === undefined) throw calendarNotFound(edge.calendar, field);
    const snapshot = fromCalendarSpecJson(row.spec);
    snapshot.uid = row.uid;
    snapshot.version = row.version;
    edge.snapshot = snapshot;
  }
  return job;
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
