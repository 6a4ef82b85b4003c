import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import { nextPassing, PASSING_STEPS } from "../../cron/next-passing.ts";
import type { FirePlan } from "../../cron/preview.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { GetJobRequest } from "../../gen/easycron/v1/job_service_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { gatesOfMany } from "../calendars/calendars.ts";
import { readCarry } from "../job/carry.ts";
import { type JobRow, toJob } from "../job/job.ts";
import { jobByName, jobUidsByName } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { type SetAsideRow, setAsideOf } from "../set-aside/set-aside.sql.ts";
import { describeSetAside } from "../set-aside/set-aside.ts";

/** What presenting jobs to customers uses. */
export type PresentParts = Pick<Parts, "database" | "schedules" | "zoneData" | "clock">;

/** A job to present. Its schedule is taken from the cache unless given. */
export interface ShownJob {
  readonly row: JobRow;
  readonly schedule?: CompiledSchedule;
  /** The specification of a job that was just created, so that it is not read from its text. To show the job changes it. */
  readonly created?: Job;
}

/** Returns one job as customers see it. See `presentJobs`. */
export async function presentJob(parts: PresentParts, row: JobRow): Promise<Job> {
  return presentShown(parts, { row });
}

/** Returns one job as customers see it. See `presentJobs`. */
export async function presentShown(parts: PresentParts, shown: ShownJob): Promise<Job> {
  const [job] = await presentJobs(parts, [shown]);
  if (job === undefined) throw new Error(`Job ${shown.row.uid} is not shown.`);
  return job;
}

/**
 * Returns jobs as customers see them, in the given order. The next fire time of a job is the first one after now that
 * makes a trigger: fire times that its current calendars skip, or that a request skips, are left out. A fire time that
 * a calendar defers is given with its nominal time. The next fire time is absent if none is found within about a year,
 * or if the stored schedule cannot be compiled.
 *
 * A job that is set aside says so in `problem`. One whose specification cannot be read is shown without it.
 */
export async function presentJobs(parts: PresentParts, jobs: readonly ShownJob[]): Promise<Job[]> {
  const shown = jobs.map(({ schedule, ...job }) => ({
    ...job,
    schedule: schedule ?? parts.schedules.find(job.row),
  }));
  const gates = await gatesOfShown(parts, shown);
  const aside = await readSetAside(parts, jobs);
  const nowMs = parts.clock.now();
  return shown.map((each, index) => present(each, gates[index], aside.get(each.row.uid), nowMs));
}

/** Reads which jobs are set aside. One that was just created is not. */
async function readSetAside(
  parts: Pick<Parts, "database">,
  jobs: readonly ShownJob[],
): Promise<Map<string, SetAsideRow>> {
  const uids = jobs.filter(({ created }) => created === undefined).map(({ row }) => row.uid);
  const rows = uids.length === 0 ? [] : await parts.database.query(setAsideOf, ["job", uids]);
  return new Map(rows.map((each) => [each.id, each]));
}

interface FoundJob extends Omit<ShownJob, "schedule"> {
  readonly schedule: CompiledSchedule | Error;
}

type Gates = readonly CalendarGate[] | undefined;

/** Reads the gates of all jobs with one statement, or with none if no active job has a calendar. */
function gatesOfShown(
  parts: Pick<Parts, "database" | "zoneData">,
  shown: readonly FoundJob[],
): Promise<Gates[]> {
  const references = shown.map(({ row, schedule }) => ({
    projectId: row.project_id,
    references: row.state === "ACTIVE" && !(schedule instanceof Error) ? schedule.calendars : [],
  }));
  return gatesOfMany(parts.database, parts.zoneData, references);
}

function present(
  { row, schedule, created }: FoundJob,
  gates: Gates,
  aside: SetAsideRow | undefined,
  nowMs: number,
): Job {
  const job = toJob(row, tryNextFireTime(row, schedule, gates, nowMs), nowMs, created);
  // A job that was changed since it was set aside is about to be tried again.
  if (aside !== undefined && aside.last_time >= row.update_time) job.problem = describeSetAside(aside);
  return job;
}

function tryNextFireTime(
  row: JobRow,
  schedule: CompiledSchedule | Error,
  gates: Gates,
  nowMs: number,
): number | null {
  if (schedule instanceof Error || row.state !== "ACTIVE") return null;
  try {
    return nextFireTimeOf(row, { ...schedule.plan, gates: gates ?? [] }, nowMs);
  } catch {
    // What is stored about the job cannot be read. It must still be shown, so that it can be deleted.
    return null;
  }
}

// The cursor is usually ahead of now by the look-ahead. A cursor that is not after now points at a fire time that is
// due but not decided yet, and that one is the next. A job without a cursor has no next fire time, unless its last
// trigger, handed over ahead of time, is still to come.
function nextFireTimeOf(row: JobRow, plan: FirePlan, nowMs: number): number | null {
  const cursor = row.next_fire_time;
  const isDue = cursor !== null && cursor <= nowMs;
  const from = isDue ? cursor - 1 : Math.max(nowMs, Math.min(row.after_time, row.pause_until ?? 0));
  const next = nextToTrigger(row, plan, from);
  const last = row.last_fire_time;
  if (cursor === null && (last === null || next === null || next > last)) return null;
  return next;
}

function nextToTrigger(row: JobRow, plan: FirePlan, afterMs: number): number | null {
  const { requested } = readCarry(row.carry);
  const takenMs = openingTaken(row, plan, afterMs);
  let from = afterMs;
  for (let steps = PASSING_STEPS; steps > 0; ) {
    const passing = nextPassing(plan, from, { steps, takenMs });
    if (passing.atMs === null || !requested.includes(passing.atMs)) return passing.atMs;
    from = passing.atMs;
    steps -= passing.steps;
  }
  return null;
}

/**
 * Returns the opening to which the last fire time up to `afterMs` is deferred, or null if it is not. A later fire time
 * that is deferred to the same opening makes no trigger.
 */
function openingTaken(row: JobRow, { gates = [] }: FirePlan, afterMs: number): number | null {
  const { waiting } = readCarry(row.carry);
  const earlier = [row.last_fire_time, ...waiting].filter((atMs) => atMs !== null && atMs <= afterMs);
  if (gates.length === 0 || earlier.length === 0) return null;
  const verdict = passGates(gates, Math.max(...earlier.map(Number)));
  return verdict.kind === "DEFERRED" ? verdict.untilMs : null;
}

/** Reads a job that is not deleted, by name. Throws JOB_NOT_FOUND. */
export async function readJob(
  parts: Pick<Parts, "database">,
  projectId: string,
  request: Pick<GetJobRequest, "name">,
): Promise<JobRow> {
  const [row] = await parts.database.query(jobByName, [projectId, request.name]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: request.name });
  return row;
}

/**
 * Returns the ids of all jobs of the project that have had a name, including deleted ones. Throws JOB_NOT_FOUND if
 * none.
 */
export async function resolveJob(
  parts: Pick<Parts, "database">,
  projectId: string,
  name: string,
): Promise<string[]> {
  const rows = await parts.database.query(jobUidsByName, [projectId, name]);
  if (rows.length === 0) throw failure("JOB_NOT_FOUND", { job: name });
  return rows.map((row) => row.uid);
}
