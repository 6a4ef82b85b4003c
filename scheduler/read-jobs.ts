import type { Job } from "../gen/easycron/v1/job_pb.ts";
import type { GetJobRequest } from "../gen/easycron/v1/job_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import { readCarry } from "./carry.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import { type JobRow, toJob } from "./job.ts";
import { jobByName, jobUidsByName } from "./jobs.sql.ts";
import type { Parts } from "./parts.ts";

/** The job as customers see it, its next fire time counted from now. */
export function presentJob(parts: Parts, row: JobRow, schedule = parts.schedules.of(row)): Job {
  const nowMs = parts.clock.now();
  return toJob(row, row.state === "ACTIVE" ? nextFireTimeOf(row, schedule, nowMs) : null, nowMs);
}

// The cursor runs ahead of now by the look-ahead; behind now it stands at what is owed. A cursor of a job that has
// none left, or of one whose pause ends by itself, is not asked for again.
function nextFireTimeOf(row: JobRow, schedule: CompiledSchedule, nowMs: number): number | null {
  if (row.next_fire_time !== null && row.next_fire_time <= nowMs) return row.next_fire_time;
  const { requested } = readCarry(row.carry);
  let next = schedule.nextAfter(Math.max(nowMs, Math.min(row.after_time, row.pause_until ?? 0)));
  while (next !== null && requested.includes(next)) next = schedule.nextAfter(next);
  const last = row.last_fire_time;
  if (row.next_fire_time === null && (last === null || next === null || next > last)) return null;
  return next;
}

/** Reads a job by name. Throws JOB_NOT_FOUND. */
export async function readJob(
  parts: Parts,
  projectId: string,
  request: Pick<GetJobRequest, "name">,
): Promise<JobRow> {
  const [row] = await parts.database.query(jobByName, [projectId, request.name]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: request.name });
  return row;
}

/** The ids of all jobs of the project that have had this name. Throws JOB_NOT_FOUND instead of none. */
export async function resolveJob(parts: Parts, projectId: string, name: string): Promise<string[]> {
  const rows = await parts.database.query(jobUidsByName, [projectId, name]);
  if (rows.length === 0) throw failure("JOB_NOT_FOUND", { job: name });
  return rows.map((row) => row.uid);
}
