import { toSqlTime } from "../../db/time.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { epochBefore } from "../job/epochs.sql.ts";
import type { JobRow } from "../job/job.ts";
import { jobsByNameAt } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { missingOffsetSentence } from "./offset.ts";

/** Explains why an instant is not a fire time of a job. */
export async function explainNoFireTime(
  parts: Pick<Parts, "database" | "schedules">,
  row: JobRow,
  atMs: number,
): Promise<string> {
  if (atMs <= row.create_time) return explainBeforeCreation(parts, row, atMs);
  const [epoch] = await parts.database.query(epochBefore, [row.uid, toSqlTime(atMs)]);
  if (epoch === undefined) return `The job did not exist then. It was created at ${toIso(row.create_time)}.`;
  if (epoch.state === "DELETED") return `The job was deleted at ${toIso(epoch.change_time)}.`;
  const pair = { uid: row.uid, revision: epoch.revision };
  const [schedule] = await parts.schedules.load(parts.database, [pair]);
  if (schedule === undefined) return "The job had no schedule then.";
  const endMs = epoch.end_time ?? Number.POSITIVE_INFINITY;
  if (atMs > endMs || isBeyondLimit(row, schedule, atMs)) {
    return `The job does not fire then, because its maxFires of ${schedule.policies.maxFires} is used up before.`;
  }
  return explainSchedule(schedule, epoch.revision, atMs);
}

// A fire time of the schedule that still lies ahead may be beyond the limit of maxFires.
function isBeyondLimit(row: JobRow, schedule: CompiledSchedule, atMs: number): boolean {
  const { maxFires } = schedule.policies;
  const ahead = row.next_fire_time === null || atMs >= row.next_fire_time;
  return maxFires > 0 && ahead && schedule.nextAfter(atMs - 1) === atMs;
}

function explainSchedule(schedule: CompiledSchedule, revision: number, atMs: number): string {
  const { schedules, bounds: { startMs, endMs } = {} } = schedule.plan;
  if (schedules.length === 0) return "The job has no schedule: it fires only when RunJob is called.";
  if (startMs !== undefined && atMs < startMs)
    return `This is before the job's startTime, ${toIso(startMs)}.`;
  if (endMs !== undefined && atMs > endMs) return `This is after the job's endTime, ${toIso(endMs)}.`;
  const next = schedule.nextAfter(atMs);
  const then =
    next === null ? "There is no fire time after it" : `The next fire time after it is ${toIso(next)}`;
  const offset = missingOffsetSentence(schedule, atMs);
  const none = `This is not a fire time of revision ${revision}, which was in effect. ${then}.`;
  return offset === "" ? none : `${none} ${offset}`;
}

async function explainBeforeCreation(
  parts: Pick<Parts, "database">,
  row: JobRow,
  atMs: number,
): Promise<string> {
  const values = [row.project_id, row.name, toSqlTime(atMs)];
  const [former] = await parts.database.query(jobsByNameAt, values);
  const none = `The job did not exist then. It was created at ${toIso(row.create_time)}.`;
  if (former === undefined || former.uid === row.uid) return none;
  return `${none} Another job had this name then; ask again with its id, ${former.uid}.`;
}
