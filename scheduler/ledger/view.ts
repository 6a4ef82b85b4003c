import { passGates } from "../../cron/calendar-gate.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { readCarry } from "../job/carry.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid, jobUidsByName } from "../job/jobs.sql.ts";
import { type SkipRow, skipsBetween } from "../job/skips.sql.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import { type LedgerTriggerRow, ledgerTriggersAt } from "./ledger.sql.ts";
import { readSegments, type Segment } from "./segments.ts";

/** A fire time and what happened to it. UNKNOWN means that the ledger has no record of it, which is a fault. */
export interface Verdict {
  readonly atMs: number;
  readonly verdict: "TRIGGERED" | "SKIPPED" | "MISSED" | "UPCOMING" | "UNKNOWN";
  readonly reason: SkipReason | null;
  readonly detail: string;
  readonly trigger: LedgerTriggerRow | null;
  readonly segment: Segment;
}

/** A job and its segments in a range, read in one snapshot. */
export interface LedgerView {
  readonly row: JobRow;
  readonly nowMs: number;
  readonly segments: readonly Segment[];
  /** Fire times from here on are not decided yet. Epoch milliseconds; Infinity if all are decided. */
  readonly undecidedMs: number;
}

const JOB_ID = /^job_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/**
 * Finds the project's job by id or by name. If several jobs have had the name, returns the one that exists, or else the
 * one that was created last. Throws JOB_NOT_FOUND.
 */
export async function findLedgerJob(on: Queryable, projectId: string, job: string): Promise<JobRow> {
  const [byId] = JOB_ID.test(job) ? await on.query(jobByUid, [projectId, job]) : [];
  if (byId !== undefined) return byId;
  const [newest] = await on.query(jobUidsByName, [projectId, job]);
  const [row] = newest === undefined ? [] : await on.query(jobByUid, [projectId, newest.uid]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job });
  return row;
}

/**
 * Reads the segments that have a job's fire times of a range. `on` must be the snapshot in which `row` was read. A
 * pause with an end is split there into a paused and an active segment.
 */
export async function readLedgerView(
  on: Queryable,
  parts: Pick<Parts, "schedules" | "zoneData" | "clock">,
  row: JobRow,
  range: { readonly fromMs: number; readonly endMs: number },
): Promise<LedgerView> {
  const nowMs = parts.clock.now();
  const segments = await readSegments(on, parts.schedules, row.uid, range);
  const undecidedMs = row.next_fire_time ?? Number.POSITIVE_INFINITY;
  const present = segments.at(-1);
  // Without a segment of its own in the range, the present epoch has no fire times there.
  if (present === undefined || present.epoch !== row.epoch) return { row, nowMs, segments, undecidedMs };
  const before = segments.slice(0, -1);
  if (row.state === "PAUSED" && row.pause_until !== null) {
    const resumedMs = row.pause_until - 1;
    const pause = { ...present, untilMs: resumedMs };
    const resumed: Segment = { ...present, state: "ACTIVE", afterMs: resumedMs, note: "" };
    const upcoming = await endOfUpcoming(on, parts, row, resumed, row.pause_until);
    return { row, nowMs, segments: [...before, pause, upcoming], undecidedMs: row.pause_until };
  }
  // Without a cursor each fire time of the epoch is decided or waits, so none lies beyond `maxFires`.
  if (row.state !== "ACTIVE" || row.next_fire_time === null) return { row, nowMs, segments, undecidedMs };
  const ending = await endOfUpcoming(on, parts, row, present, row.next_fire_time);
  return { row, nowMs, segments: [...before, ending], undecidedMs };
}

/** The most upcoming fire times that are checked to find where a job with `maxFires` ends. */
const MAX_LOOK_AHEAD = 10_000;

// A job with maxFires has only as many upcoming fire times, from the cursor on, as it has fires left. A fire time counts
// if it is neither to be skipped by request nor outside the job's calendars as they are now. Of those deferred to one
// opening only the first counts.
async function endOfUpcoming(
  on: Queryable,
  parts: Pick<Parts, "zoneData">,
  row: JobRow,
  segment: Segment,
  cursorMs: number,
): Promise<Segment> {
  const { schedule } = segment;
  const { maxFires } = schedule.policies;
  if (maxFires === 0) return segment;
  const { waiting, requested } = readCarry(row.carry);
  const gates = await gatesOf(on, parts.zoneData, row.project_id, schedule.calendars);
  const openings = new Set<number>();
  const fires = (atMs: number): boolean => {
    if (requested.includes(atMs)) return false;
    const gate = passGates(gates, atMs);
    if (gate.kind !== "DEFERRED") return gate.kind === "OPEN";
    const taken = openings.has(gate.untilMs);
    openings.add(gate.untilMs);
    return !taken;
  };
  let left = maxFires - row.last_seq - waiting.filter(fires).length;
  // The last trigger may have been handed over ahead of its opening. Then it has taken that opening.
  if (row.last_fire_time !== null) fires(row.last_fire_time);
  let atMs: number | null = cursorMs - 1;
  for (let looked = 0; left > 0 && atMs !== null; looked++) {
    if (looked === MAX_LOOK_AHEAD) return segment;
    atMs = schedule.nextAfter(atMs);
    if (atMs !== null && fires(atMs)) left -= 1;
  }
  return atMs === null ? segment : { ...segment, untilMs: Math.min(segment.untilMs, atMs) };
}

/** Reads the verdicts of fire times of one view. `fires` must be ascending. */
export async function readVerdicts(
  on: Queryable,
  view: LedgerView,
  fires: readonly { readonly atMs: number; readonly segment: Segment }[],
): Promise<Verdict[]> {
  const [first, last] = [fires[0], fires.at(-1)];
  if (first === undefined || last === undefined) return [];
  const { row } = view;
  const window = [toSqlTime(first.atMs), toSqlTime(last.atMs)];
  const times = fires.map(({ atMs }) => toSqlTime(atMs));
  const triggers = await on.query(ledgerTriggersAt, [row.project_id, row.uid, times]);
  const skips = await on.query(skipsBetween, [row.uid, ...window]);
  const byTime = new Map(triggers.map((trigger) => [trigger.fire_time, trigger]));
  let index = 0;
  return fires.map(({ atMs, segment }) => {
    while ((skips[index]?.last_fire_time ?? Number.POSITIVE_INFINITY) < atMs) index += 1;
    const skip = skips[index];
    const trigger = byTime.get(atMs) ?? null;
    const covering = skip !== undefined && skip.first_fire_time <= atMs ? skip : null;
    return { atMs, segment, ...judge(view, atMs, segment, trigger, covering) };
  });
}

/** Why the fire times of a segment are skipped without a row; null if they are not. */
const HALTED: Readonly<Record<Segment["state"], SkipReason | null>> = {
  ACTIVE: null,
  PAUSED: "PAUSED",
  DISABLED: "JOB_DISABLED",
  DELETED: null,
};

function judge(
  view: LedgerView,
  atMs: number,
  segment: Segment,
  trigger: LedgerTriggerRow | null,
  skip: SkipRow | null,
): Omit<Verdict, "atMs" | "segment"> {
  const none = { reason: null, detail: "", trigger: null };
  if (trigger !== null) return { ...none, verdict: "TRIGGERED", trigger };
  if (skip !== null) return { ...none, verdict: skip.verdict, reason: skip.reason, detail: skip.detail };
  const { requested, waiting } = readCarry(view.row.carry);
  const past = atMs <= view.nowMs;
  const halted = HALTED[segment.state];
  if (halted !== null && past) return { ...none, verdict: "SKIPPED", reason: halted };
  if (requested.includes(atMs)) return { ...none, verdict: "SKIPPED", reason: "SKIPPED_BY_REQUEST" };
  if (halted !== null) return { ...none, verdict: "UPCOMING", reason: halted };
  if (atMs >= view.undecidedMs || waiting.includes(atMs)) return { ...none, verdict: "UPCOMING" };
  return { ...none, verdict: "UNKNOWN" };
}
