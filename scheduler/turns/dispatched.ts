import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { readCarry } from "../job/carry.ts";
import type { TurnRow } from "../job/job.ts";
import { jobsBusy, jobsHandedOver } from "../job/jobs.sql.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { LATE_MS } from "./turn.ts";
import type { HandedOver } from "./turn-draft.ts";

/** What the dispatchers know of a job and its row does not. */
export interface Dispatched {
  readonly busy: boolean;
  readonly handed: readonly HandedOver[];
}

const NOTHING: Dispatched = { busy: false, handed: [] };

/**
 * What the dispatchers know of jobs, in their order. Asked only where the clock, or the state of a trigger, has a say
 * in what a turn decides: of jobs that are late, and of those with an overlap policy. All others decide a second time
 * what they decided before, so that a turn whose commit was lost needs no look at what it handed over.
 */
export async function readDispatched(
  tx: Queryable,
  rows: readonly TurnRow[],
  schedules: readonly (CompiledSchedule | Error)[],
  nowMs: number,
): Promise<Dispatched[]> {
  const asks = rows.map((_, index) => {
    const schedule = schedules[index];
    return (
      schedule !== undefined && !(schedule instanceof Error) && schedule.policies.overlap !== "ALLOW_ALL"
    );
  });
  const asked = rows.filter((row, index) => firstOf(row) < (asks[index] ? nowMs + 1 : nowMs - LATE_MS));
  const overlapping = rows.filter((_, index) => asks[index]);
  if (asked.length + overlapping.length === 0) return rows.map(() => NOTHING);
  const handed = new Map<string, HandedOver[]>();
  const values = [
    asked.map(({ uid }) => uid),
    asked.map(({ last_seq }) => last_seq),
    asked.map((row) => toSqlTime(firstOf(row))),
  ];
  for (const { job_uid, fire_time: fireTimeMs, seq } of await tx.query(jobsHandedOver, values)) {
    const list = handed.get(job_uid) ?? [];
    list.push({ fireTimeMs, seq });
    handed.set(job_uid, list);
  }
  const busy = new Set<string>();
  if (overlapping.length > 0) {
    for (const { uid } of await tx.query(jobsBusy, [overlapping.map(({ uid }) => uid)])) busy.add(uid);
  }
  return rows.map(({ uid }) => ({ busy: busy.has(uid), handed: handed.get(uid) ?? [] }));
}

// The earliest fire time that the row's next turn may decide.
function firstOf(row: TurnRow): number {
  const [waiting] = readCarry(row.carry).waiting;
  return Math.min(waiting ?? Number.POSITIVE_INFINITY, row.next_fire_time ?? Number.POSITIVE_INFINITY);
}
