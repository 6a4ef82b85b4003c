import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { readCarry } from "../job/carry.ts";
import type { TurnRow } from "../job/job.ts";
import { jobsBusy, jobsHandedOver } from "../job/jobs.sql.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { LATE_MS } from "./turn.ts";
import type { HandedOver } from "./turn-draft.ts";

/** What the dispatcher's tables know about a job, and the job's row does not. */
export interface Dispatched {
  /** Whether the job has an unfinished trigger; backfills do not count. Always false without an overlap policy. */
  readonly busy: boolean;
  /** Triggers that a turn handed over whose commit was lost, by fire time. */
  readonly handed: readonly HandedOver[];
}

const NOTHING: Dispatched = { busy: false, handed: [] };

/**
 * Reads what the dispatcher's tables know about jobs, in the order of `rows`. It asks only about jobs whose turn
 * depends on the clock, on the state of a trigger or on a calendar: those that are late, those with an overlap policy,
 * and those with calendars once a fire time has come, because the calendar may have changed since it was handed over. For
 * all others a turn whose commit was lost decides the same again, so it needs no look at what was handed over.
 */
export async function readDispatched(
  tx: Queryable,
  rows: readonly TurnRow[],
  schedules: readonly (CompiledSchedule | Error)[],
  nowMs: number,
): Promise<Dispatched[]> {
  const hasPolicy = schedules.map(
    (schedule) => !(schedule instanceof Error) && schedule.policies.overlap !== "ALLOW_ALL",
  );
  const hasCalendars = schedules.map(
    (schedule) => !(schedule instanceof Error) && schedule.calendars.length > 0,
  );
  const asked = rows.filter((row, index) => {
    const mayDiffer = hasPolicy[index] || hasCalendars[index];
    return firstUndecided(row) < (mayDiffer ? nowMs + 1 : nowMs - LATE_MS);
  });
  const withPolicy = rows.filter((_, index) => hasPolicy[index]);
  if (asked.length + withPolicy.length === 0) return rows.map(() => NOTHING);
  const handed = new Map<string, HandedOver[]>();
  const values = [
    asked.map(({ uid }) => uid),
    asked.map(({ last_seq }) => last_seq),
    asked.map((row) => toSqlTime(firstUndecided(row))),
  ];
  for (const { job_uid, fire_time: fireTimeMs, seq } of await tx.query(jobsHandedOver, values)) {
    const list = handed.get(job_uid) ?? [];
    list.push({ fireTimeMs, seq });
    handed.set(job_uid, list);
  }
  const busy = new Set<string>();
  if (withPolicy.length > 0) {
    for (const { uid } of await tx.query(jobsBusy, [withPolicy.map(({ uid }) => uid)])) busy.add(uid);
  }
  return rows.map(({ uid }) => ({ busy: busy.has(uid), handed: handed.get(uid) ?? [] }));
}

// The earliest fire time that the row's next turn may decide; Infinity when there is none.
function firstUndecided(row: TurnRow): number {
  const [waiting] = readCarry(row.carry).waiting;
  return Math.min(waiting ?? Number.POSITIVE_INFINITY, row.next_fire_time ?? Number.POSITIVE_INFINITY);
}
