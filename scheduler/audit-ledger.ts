import type { Queryable } from "../db/pool.ts";
import { toSqlTime } from "../db/time.ts";
import { readCarry } from "./carry.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import { type EpochRow, epochsOfJob } from "./epochs.sql.ts";
import type { JobRow } from "./job.ts";
import { jobByUid } from "./jobs.sql.ts";
import { type LedgerTriggerRow, ledgerTriggers } from "./ledger.sql.ts";
import type { Parts } from "./parts.ts";
import { type SkipRow, skipsBetween } from "./skips.sql.ts";

/** Something in a ledger that should not be. */
export interface Difference {
  readonly kind: "UNACCOUNTED" | "TWO_VERDICTS" | "UNEXPECTED_TRIGGER" | "UNEXPECTED_SKIP" | "BROKEN_CHAIN";
  readonly atMs: number;
  readonly detail: string;
}

/** What an audit found. */
export interface Audit {
  readonly fireTimeCount: number;
  readonly differences: readonly Difference[];
  /** Up to where it compared, exclusive. */
  readonly untilMs: number;
}

/** Most fire times of one audit. */
export const AUDIT_LIMIT = 200_000;
const MAX_DIFFERENCES = 100;

/**
 * Compares a job's ledger from `fromMs`, inclusive, to `untilMs`, exclusive, with what its schedules say, and by other
 * code than what lists it: a plain walk over the epochs in order, which gives the instants that ought to have a
 * verdict, against every trigger and every skip that is there. What is found is looked for once more, because the job
 * may have changed between two of the readings. Null for a job that is gone.
 */
export async function auditJob(
  parts: Parts,
  job: Pick<JobRow, "uid" | "project_id">,
  fromMs: number,
  untilMs: number,
): Promise<Audit | null> {
  const first = await auditOnce(parts, job, fromMs, untilMs);
  return first === null || first.differences.length === 0 ? first : auditOnce(parts, job, fromMs, untilMs);
}

async function auditOnce(
  parts: Parts,
  job: Pick<JobRow, "uid" | "project_id">,
  fromMs: number,
  untilMs: number,
): Promise<Audit | null> {
  const on = parts.database;
  // First the row: what it says is decided has its trigger or skip already when these are read afterwards.
  const [row] = await on.query(jobByUid, [job.project_id, job.uid]);
  if (row === undefined) return null;
  const endMs = Math.min(untilMs, parts.clock.now());
  const expected = await expectedTimes(on, parts, row, fromMs, endMs);
  const window = [toSqlTime(fromMs), toSqlTime(Math.max(fromMs, expected.endMs - 1))];
  const most = AUDIT_LIMIT * 2;
  const triggers = await on.query(ledgerTriggers, [row.project_id, row.uid, ...window, most]);
  const skips = await on.query(skipsBetween, [row.uid, ...window]);
  const differences = [
    ...compareTimes(row, expected, triggers, skips),
    ...compareSkips(expected, skips, fromMs),
    ...compareChain(triggers),
  ];
  return {
    fireTimeCount: expected.times.size,
    differences: differences.slice(0, MAX_DIFFERENCES),
    untilMs: expected.endMs,
  };
}

interface Expected {
  /** Every fire time of the range, and whether the job was paused then. */
  readonly times: ReadonlyMap<number, { readonly paused: boolean }>;
  readonly endMs: number;
}

async function expectedTimes(
  on: Queryable,
  parts: Parts,
  row: JobRow,
  fromMs: number,
  endMs: number,
): Promise<Expected> {
  const epochs = await on.query(epochsOfJob, [row.uid]);
  const pairs = epochs.map(({ revision }) => ({ uid: row.uid, revision }));
  const schedules = await parts.schedules.load(on, pairs);
  const times = new Map<number, { paused: boolean }>();
  for (const [index, epoch] of epochs.entries()) {
    const schedule = schedules[index];
    if (schedule === undefined || epoch.state === "DELETED") continue;
    const later = epochs.slice(index + 1).map(({ after_time }) => after_time);
    const lastMs = Math.min(endMs - 1, epoch.end_time ?? endMs, ...later);
    for (const atMs of walk(schedule, epoch, Math.max(fromMs - 1, epoch.after_time), lastMs)) {
      if (times.size === AUDIT_LIMIT) return { times, endMs: atMs };
      times.set(atMs, { paused: epoch.state === "PAUSED" });
    }
  }
  return { times, endMs };
}

function* walk(
  schedule: CompiledSchedule,
  epoch: EpochRow,
  afterMs: number,
  lastMs: number,
): Generator<number> {
  let atMs = schedule.nextAfter(Math.max(afterMs, epoch.after_time));
  while (atMs !== null && atMs <= lastMs) {
    yield atMs;
    atMs = schedule.nextAfter(atMs);
  }
}

function compareTimes(
  row: JobRow,
  expected: Expected,
  triggers: readonly LedgerTriggerRow[],
  skips: readonly SkipRow[],
): Difference[] {
  const differences: Difference[] = [];
  const undecidedMs = row.next_fire_time ?? Number.POSITIVE_INFINITY;
  const waiting = new Set(readCarry(row.carry).waiting);
  const byTime = new Map(triggers.map((trigger) => [trigger.fire_time, trigger]));
  let index = 0;
  for (const [atMs, { paused }] of expected.times) {
    while ((skips[index]?.last_fire_time ?? Number.POSITIVE_INFINITY) < atMs) index += 1;
    const next = skips[index];
    const skip = next !== undefined && next.first_fire_time <= atMs ? next : undefined;
    const trigger = byTime.get(atMs);
    const verdicts: string[] = [];
    if (trigger !== undefined && trigger.kind !== "BACKFILL") verdicts.push(`trigger ${trigger.id}`);
    if (skip !== undefined) verdicts.push(`${skip.verdict}, ${skip.reason}`);
    if (paused) verdicts.push("SKIPPED, PAUSED");
    if (verdicts.length > 1) differences.push({ kind: "TWO_VERDICTS", atMs, detail: verdicts.join("; ") });
    const open = atMs >= undecidedMs || waiting.has(atMs);
    if (verdicts.length === 0 && trigger === undefined && !open) {
      differences.push({ kind: "UNACCOUNTED", atMs, detail: "It has neither a trigger nor a skip." });
    }
  }
  for (const { fire_time: atMs, id, kind } of triggers) {
    if (kind === "BACKFILL" || expected.times.has(atMs)) continue;
    differences.push({ kind: "UNEXPECTED_TRIGGER", atMs, detail: `${id} is at no fire time of the job.` });
  }
  return differences;
}

// Ranges that reach over an end of what was walked are left to the audit of that.
function compareSkips(expected: Expected, skips: readonly SkipRow[], fromMs: number): Difference[] {
  const differences: Difference[] = [];
  const times = [...expected.times.keys()].sort((a, b) => a - b);
  let index = 0;
  for (const { first_fire_time: atMs, last_fire_time: lastMs, fire_count: count, reason } of skips) {
    if (atMs < fromMs || lastMs >= expected.endMs) continue;
    while ((times[index] ?? Number.POSITIVE_INFINITY) < atMs) index += 1;
    const start = index;
    while ((times[index] ?? Number.POSITIVE_INFINITY) <= lastMs) index += 1;
    if (index - start === count && times[start] === atMs && times[index - 1] === lastMs) continue;
    const last = new Date(lastMs).toISOString();
    const detail = `${reason} up to ${last} says ${count} fire times; the schedule has ${index - start}.`;
    differences.push({ kind: "UNEXPECTED_SKIP", atMs, detail });
  }
  return differences;
}

function compareChain(triggers: readonly LedgerTriggerRow[]): Difference[] {
  const differences: Difference[] = [];
  const chain = triggers.filter(({ kind }) => kind !== "BACKFILL").sort((a, b) => a.seq - b.seq);
  for (const [index, { seq, fire_time: atMs, id }] of chain.entries()) {
    const before = chain[index - 1];
    if (before === undefined || before.seq + 1 === seq) continue;
    differences.push({ kind: "BROKEN_CHAIN", atMs, detail: `${id} has place ${seq} after ${before.seq}.` });
  }
  return differences;
}
