import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { PreviewScheduleRequest } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { withSnapshots } from "../calendars/edges.ts";
import { keepAnchors, withDefaults } from "../changes/job-defaults.ts";
import { fromSpecJson, type JobRow } from "../job/job.ts";
import { jobByName } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { readJob } from "../reading/read-jobs.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";

/** The specification that a request names or carries. */
export interface ScheduleSource {
  readonly job: Job;
  readonly schedule: CompiledSchedule;
  /** The saved job; of an unsaved one, the living job of its name that it would be a change of. */
  readonly row: JobRow | null;
  /** What is chosen when the job is created, and therefore not known: "H", its place in the flexible window. */
  readonly chosenLater: readonly ("HASHED" | "WINDOW")[];
}

/**
 * Finds the specification. An unsaved one that carries the name of a living job has that job's id, which decides what
 * `H` stands for and its place in the flexible window, and its anchors; another one's rates are anchored at `createMs`.
 * Throws JOB_NOT_FOUND, CALENDAR_NOT_FOUND, or what compiling it does.
 */
export async function scheduleSource(
  parts: Parts,
  projectId: string,
  source: PreviewScheduleRequest["source"],
  { nowMs, createMs }: { readonly nowMs: number; readonly createMs: number },
): Promise<ScheduleSource> {
  if (source.case !== "job") {
    const row = await readJob(parts, projectId, { name: source.value ?? "" });
    return { job: fromSpecJson(row.spec), schedule: parts.schedules.of(row), row, chosenLater: [] };
  }
  const row = await livingJob(parts, projectId, source.value.name);
  const given = row === null ? source.value : keepAnchors(fromSpecJson(row.spec), source.value);
  const job = withDefaults(await withSnapshots(parts.database, projectId, given), createMs);
  const options = { allowNeverFiring: true, zoneData: parts.zoneData.inForce(nowMs) };
  const schedule = compileSchedule(job, row?.uid ?? "", options);
  return { job, schedule, row, chosenLater: row === null ? chosenAtCreation(job, schedule) : [] };
}

async function livingJob(parts: Parts, projectId: string, name: string): Promise<JobRow | null> {
  if (name === "") return null;
  const [row] = await parts.database.query(jobByName, [projectId, name]);
  return row ?? null;
}

/** An item `H` of a field; names of days and months do not begin with it. */
const HASHED = /(?:^|[\s,])H/;

function chosenAtCreation(job: Job, { plan }: CompiledSchedule): ScheduleSource["chosenLater"] {
  const hashed = job.schedules.some(({ kind }) => kind.case === "cron" && HASHED.test(kind.value.expression));
  return [
    ...(hashed ? (["HASHED"] as const) : []),
    ...(plan.flexibleWindow === undefined ? [] : (["WINDOW"] as const)),
  ];
}
