import { toSqlTime } from "../../db/time.ts";
import { epochBefore } from "../job/epochs.sql.ts";
import type { JobRow } from "../job/job.ts";
import { jobsByNameAt } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { missingOffsetSentence } from "./offset.ts";
import { iso } from "./words.ts";

/** Says why an instant is no fire time of a job. */
export async function explainNone(parts: Parts, row: JobRow, atMs: number): Promise<string> {
  if (atMs <= row.create_time) return explainBefore(parts, row, atMs);
  const [epoch] = await parts.database.query(epochBefore, [row.uid, toSqlTime(atMs)]);
  if (epoch === undefined) return `The job did not exist: it was created at ${iso(row.create_time)}.`;
  if (epoch.state === "DELETED") return `The job was deleted at ${iso(epoch.change_time)}.`;
  const pair = { uid: row.uid, revision: epoch.revision };
  const [schedule] = await parts.schedules.load(parts.database, [pair]);
  if (schedule === undefined) return "The job had no schedule then.";
  const endMs = epoch.end_time ?? Number.POSITIVE_INFINITY;
  if (atMs > endMs || isSpent(row, schedule, atMs)) {
    return `The job had no fire time left: it has fired as often as maxFires, ${schedule.policies.maxFires}, lets it.`;
  }
  return explainSchedule(schedule, epoch.revision, atMs);
}

// Ahead of a job with maxFires, a fire time of the schedule may be one too many.
function isSpent(row: JobRow, schedule: CompiledSchedule, atMs: number): boolean {
  const { maxFires } = schedule.policies;
  const ahead = row.next_fire_time === null || atMs >= row.next_fire_time;
  return maxFires > 0 && ahead && schedule.nextAfter(atMs - 1) === atMs;
}

function explainSchedule(schedule: CompiledSchedule, revision: number, atMs: number): string {
  const { schedules, bounds: { startMs, endMs } = {} } = schedule.plan;
  if (schedules.length === 0) return "The job has no schedule: it fires by RunJob only.";
  if (startMs !== undefined && atMs < startMs) return `It is before the job's startTime, ${iso(startMs)}.`;
  if (endMs !== undefined && atMs > endMs) return `It is after the job's endTime, ${iso(endMs)}.`;
  const next = schedule.nextAfter(atMs);
  const then = next === null ? "there is none after it" : `the next one after it is ${iso(next)}`;
  const offset = missingOffsetSentence(schedule, atMs);
  const none = `It is no fire time of revision ${revision}, which was in force: ${then}.`;
  return offset === "" ? none : `${none} ${offset}`;
}

async function explainBefore(parts: Parts, row: JobRow, atMs: number): Promise<string> {
  const values = [row.project_id, row.name, toSqlTime(atMs)];
  const [former] = await parts.database.query(jobsByNameAt, values);
  const created = `The job was created at ${iso(row.create_time)}, after that.`;
  if (former === undefined || former.uid === row.uid) return `The job did not exist. ${created}`;
  return `${created} Another job had its name then, ${former.uid}: ask for that by its id.`;
}
