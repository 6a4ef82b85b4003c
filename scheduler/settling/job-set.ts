import type { Queryable } from "../../db/pool.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobsByUids } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { createYield } from "../schedules/slices.ts";
import { LATE_MS } from "../turns/turn.ts";
import { jobsLockFree } from "./settling.sql.ts";

/** What settling takes. */
export type SettleParts = ChangeParts & Pick<Parts, "database" | "wake">;

/** A job that could not be settled. */
export interface FailedJob {
  readonly jobUid: string;
  readonly error: unknown;
}

/** Jobs that a transaction has locked and read. `P` is what is planned for a job. */
export interface LockedSet<T, P> {
  /** What is planned for each job that could be read: undefined for those that need no change. */
  readonly planned: ReadonlyMap<string, P | undefined>;
  /** Those for which no plan could be made. */
  readonly failed: readonly FailedJob[];
  /** Those that another transaction has locked. */
  readonly locked: readonly T[];
  /** The last of the jobs, for which there is no room or no time in this set. They are for the next one. */
  readonly left: readonly T[];
}

/** Most bytes of the specifications of one set. A single job may have more. */
const MAX_SPEC_BYTES = 8 * 1024 * 1024;
/**
 * Most jobs of one set that have been due for long. The triggers of such a job are handed over before it is changed, up
 * to 10,000 of them.
 */
const MAX_LATE = 10;
/** For how long plans are made. The jobs stay locked meanwhile. */
const PLAN_MS = 150;

/**
 * Locks and reads jobs, and makes a plan for each with `plan`, which may throw. The number of statements does not depend
 * on the number of jobs. It waits for no lock. A job that fails here does not reach PostgreSQL, where it would make the
 * whole set fail.
 */
export async function lockSet<T extends { readonly uid: string }, P>(
  tx: Queryable,
  parts: Pick<Parts, "clock">,
  jobs: readonly T[],
  plan: (row: JobRow) => P | undefined,
): Promise<LockedSet<T, P>> {
  const endMs = performance.now() + PLAN_MS;
  const free = new Map(
    (await tx.query(jobsLockFree, [jobs.map(({ uid }) => uid)])).map((row) => [row.uid, row]),
  );
  const fitting = jobs.slice(0, countFitting(jobs.map(({ uid }) => free.get(uid)?.spec_bytes ?? 0)));
  const rows = await readFree(tx, fitting, free);
  const planned = new Map<string, P | undefined>();
  const failed: FailedJob[] = [];
  const locked: T[] = [];
  const lateMs = parts.clock.now() - LATE_MS;
  const yieldOften = createYield();
  let late = 0;
  for (const [index, job] of fitting.entries()) {
    const row = rows.get(job.uid);
    if (row === undefined) {
      if (!free.has(job.uid)) locked.push(job);
      continue;
    }
    if (isLate(row, lateMs)) late += 1;
    const isFirst = planned.size + failed.length === 0;
    if (!isFirst && (late > MAX_LATE || performance.now() > endMs))
      return { planned, failed, locked, left: jobs.slice(index) };
    try {
      planned.set(row.uid, plan(row));
    } catch (error) {
      failed.push({ jobUid: row.uid, error });
    }
    await yieldOften();
  }
  return { planned, failed, locked, left: jobs.slice(fitting.length) };
}

/** Returns how many of the first sizes fit into a set: at least one. */
function countFitting(sizes: readonly number[]): number {
  let sum = 0;
  const index = sizes.findIndex((bytes) => {
    sum += bytes;
    return sum > MAX_SPEC_BYTES;
  });
  return index === -1 ? sizes.length : Math.max(1, index);
}

async function readFree(
  tx: Queryable,
  jobs: readonly { readonly uid: string }[],
  free: ReadonlyMap<string, { readonly uid: string; readonly project_id: string }>,
): Promise<Map<string, JobRow>> {
  const wanted = jobs.flatMap(({ uid }) => free.get(uid) ?? []);
  const projects = wanted.map(({ project_id: project }) => project);
  const rows = await tx.query(jobsByUids, [projects, wanted.map(({ uid }) => uid)]);
  return new Map(rows.map((row) => [row.uid, row]));
}

function isLate({ state, next_fire_time: nextMs }: JobRow, lateMs: number): boolean {
  return state === "ACTIVE" && nextMs !== null && nextMs < lateMs;
}
