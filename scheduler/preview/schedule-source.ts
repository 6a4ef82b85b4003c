import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { PreviewScheduleRequest } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { withSnapshots } from "../calendars/edges.ts";
import { keepAnchors, withDefaults } from "../changes/job-defaults.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { jobByName } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";

/** The job that a request names, or the specification that it carries. */
export interface ScheduleSource {
  readonly job: Job;
  readonly schedule: CompiledSchedule;
  /**
   * The saved job that the request names. For an unsaved specification: the job of the same name that it would change,
   * or null if there is none.
   */
  readonly row: JobRow | null;
  /** What is chosen only when the job is created, and is an example here: `H`, and the delay in the flexible window. */
  readonly chosenLater: readonly ("HASHED" | "WINDOW")[];
}

/**
 * Finds the specification that a request is about, and compiles it.
 *
 * An unsaved specification with the name of an existing job uses the id of that job, and the anchors of its rates. The
 * id decides what `H` stands for and the delay in the flexible window. Otherwise rates start at `createMs`.
 *
 * Throws JOB_NOT_FOUND, CALENDAR_NOT_FOUND, SCHEDULE_INVALID or TIME_ZONE_UNKNOWN.
 */
export async function readScheduleSource(
  parts: Pick<Parts, "database" | "schedules" | "zoneData">,
  projectId: string,
  source: PreviewScheduleRequest["source"],
  { nowMs, createMs }: { readonly nowMs: number; readonly createMs: number },
): Promise<ScheduleSource> {
  if (source.case !== "job") {
    const row = await readJob(parts, projectId, { name: source.value ?? "" });
    return { job: fromSpecJson(row.spec), schedule: parts.schedules.of(row), row, chosenLater: [] };
  }
  const row = await findJob(parts.database, projectId, source.value.name);
  const given = row === null ? source.value : keepAnchors(fromSpecJson(row.spec), source.value);
  const job = withDefaults(await withSnapshots(parts.database, projectId, given), createMs);
  const options = { allowNeverFiring: true, zoneData: parts.zoneData.inForce(nowMs) };
  const schedule = compileSchedule(job, row?.uid ?? "", options);
  return { job, schedule, row, chosenLater: row === null ? chosenAtCreation(job, schedule) : [] };
}

async function findJob(on: Queryable, projectId: string, name: string): Promise<JobRow | null> {
  if (name === "") return null;
  const [row] = await on.query(jobByName, [projectId, name]);
  return row ?? null;
}

/** Matches `H` at the start of an item of a field. No name of a day or a month begins with H. */
const HASHED = /(?:^|[\s,])H/;

function chosenAtCreation(job: Job, { plan }: CompiledSchedule): ScheduleSource["chosenLater"] {
  const hashed = job.schedules.some(({ kind }) => kind.case === "cron" && HASHED.test(kind.value.expression));
  return [
    ...(hashed ? (["HASHED"] as const) : []),
    ...(plan.flexibleWindow === undefined ? [] : (["WINDOW"] as const)),
  ];
}
