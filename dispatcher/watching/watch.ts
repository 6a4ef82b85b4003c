import { setImmediate } from "node:timers/promises";
import { fromJsonString } from "@bufbuild/protobuf";
import type { Calendar } from "../../cron/calendar.ts";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { type Expected, expectedFireTimes, type WatchedLedger } from "./expected.ts";
import type { RevisionCache, RevisionName } from "./revision-cache.ts";
import {
  type WatchedEpochRow,
  type WatchedSkipRow,
  type WatchedTriggerRow,
  watchCalendars,
  watchEpochs,
  watchSkips,
  watchTriggers,
} from "./watch.sql.ts";
import { compileCalendar, type WatchedRevision } from "./watched-revision.ts";

/** A job whose fire times must succeed in time. Times are epoch milliseconds. */
export interface WatchedJob {
  readonly jobUid: string;
  readonly projectId: string;
  /** Null: only its present state is asked for. */
  readonly withinMs: number | null;
  /** Its fire times up to this one were judged. */
  readonly watchedUntilMs: number;
}

/** A fire time that has not succeeded in time. */
export interface Undelivered {
  readonly atMs: number;
  readonly deadlineMs: number;
  /** Its trigger; undefined if there is none. */
  readonly trigger: WatchedTriggerRow | undefined;
}

/** What the ledger says about a watched job. Times are epoch milliseconds. */
export interface Watch {
  readonly jobName: string;
  readonly isDeleted: boolean;
  /** Whether the revision in effect has alerts; false if its fire times are not asked for. */
  readonly hasAlerts: boolean;
  /** The revision in effect. */
  readonly revision: number;
  readonly undelivered: readonly Undelivered[];
  readonly watchedUntilMs: number;
  /** When the next fire time is to be judged; null if none is foreseen. */
  readonly nextMs: number | null;
}

/** What watching needs. */
export interface WatchParts {
  readonly revisions: RevisionCache;
  /** Called for a job whose fire times cannot be computed. */
  readonly onUnreadable: (job: { readonly jobUid: string }, error: unknown) => void;
}

/**
 * A fire time is judged this long after its deadline, because an attempt that ends in time is recorded a moment later. No
 * attempt starts while a result waits for longer than a second.
 */
const GRACE_MS = 2_000;
/** After this time, a job is tried again whose fire times cannot be computed. */
const UNREADABLE_PAUSE_MS = 600_000;
/** Most fire times of a job that are judged at a time. */
const MAX_FIRE_TIMES = 200;

/**
 * Compares the fire times of jobs with the ledger: computes them anew and looks which have no trigger that succeeded in
 * time, and were not skipped. Reads PostgreSQL only, so it works while no scheduler does. A job that is not known is left
 * out. Throws SERVICE_UNAVAILABLE.
 */
export async function watchJobs(
  on: Queryable,
  parts: WatchParts,
  jobs: readonly WatchedJob[],
  nowMs: number,
): Promise<Map<string, Watch>> {
  const rows = await on.query(watchEpochs, [
    jobs.map(({ jobUid }) => jobUid),
    toTimeArray(jobs.map(({ watchedUntilMs }) => watchedUntilMs)),
  ]);
  const epochs = Map.groupBy(rows, ({ job_uid }) => job_uid);
  const judged = jobs.filter(({ jobUid, withinMs }) => withinMs !== null && epochs.has(jobUid));
  const names = judged.flatMap(({ jobUid }) =>
    (epochs.get(jobUid) ?? []).map(({ revision }) => ({ jobUid, revision })),
  );
  const revisionOf = await parts.revisions.load(on, names);
  const expected = await expectAll(on, parts, judged, { epochs, revisionOf, nowMs });
  const undelivered = await findUndelivered(on, expected, epochs);
  return new Map(
    jobs.flatMap((job) => {
      const last = epochs.get(job.jobUid)?.at(-1);
      if (last === undefined) return [];
      const found = expected.get(job.jobUid);
      const watch: Watch = {
        jobName: last.job_name,
        isDeleted: last.state === "DELETED",
        hasAlerts: revisionOf({ jobUid: job.jobUid, revision: last.revision })?.hasAlerts ?? false,
        revision: last.revision,
        undelivered: undelivered.get(job.jobUid) ?? [],
        watchedUntilMs: found?.untilMs ?? job.watchedUntilMs,
        nextMs: found === undefined || found.nextMs === null ? null : found.nextMs + GRACE_MS,
      };
      return [[job.jobUid, watch]];
    }),
  );
}

/** What was read of the jobs. */
interface Read {
  readonly epochs: ReadonlyMap<string, readonly WatchedEpochRow[]>;
  readonly revisionOf: (name: RevisionName) => WatchedRevision | undefined;
  readonly nowMs: number;
}

async function expectAll(
  on: Queryable,
  { onUnreadable }: WatchParts,
  jobs: readonly WatchedJob[],
  { epochs, revisionOf, nowMs }: Read,
): Promise<Map<string, Expected>> {
  const expected = new Map<string, Expected>();
  for (const job of jobs) {
    const ledger = await toLedger(on, job, epochs.get(job.jobUid) ?? [], revisionOf);
    const { watchedUntilMs: afterMs, withinMs } = job;
    const range = { afterMs, nowMs: nowMs - GRACE_MS, withinMs: withinMs ?? 0, limit: MAX_FIRE_TIMES };
    try {
      expected.set(job.jobUid, expectedFireTimes(ledger, range));
    } catch (error) {
      onUnreadable(job, error);
      expected.set(job.jobUid, { due: [], untilMs: afterMs, nextMs: nowMs + UNREADABLE_PAUSE_MS });
    }
    // To compute the fire times of one job takes up to some milliseconds.
    await setImmediate();
  }
  return expected;
}

async function toLedger(
  on: Queryable,
  { jobUid, projectId, watchedUntilMs }: WatchedJob,
  rows: readonly WatchedEpochRow[],
  revisionOf: Read["revisionOf"],
): Promise<WatchedLedger> {
  const revisions = new Map<number, WatchedRevision>();
  for (const { revision } of rows) {
    const compiled = revisionOf({ jobUid, revision });
    if (compiled !== undefined) revisions.set(revision, compiled);
  }
  const names = new Set(
    [...revisions.values()].flatMap(({ calendars }) => calendars.map(({ name }) => name)),
  );
  const last = rows.at(-1);
  return {
    jobUid,
    epochs: rows.map(({ state, revision, after_time: afterMs, end_time: endMs }) => ({
      isActive: state === "ACTIVE",
      revision,
      afterMs,
      endMs,
    })),
    revisions,
    pauseUntilMs: last?.state === "PAUSED" ? last.pause_until : null,
    isFinished: last?.job_state === "FINISHED",
    lastFireTimeMs: last?.last_fire_time ?? null,
    gatesAt: names.size === 0 ? () => [] : await readGates(on, projectId, [...names], watchedUntilMs),
  };
}

async function readGates(
  on: Queryable,
  projectId: string,
  names: readonly string[],
  fromMs: number,
): Promise<WatchedLedger["gatesAt"]> {
  const rows = await on.query(watchCalendars, [projectId, names, toSqlTime(fromMs)]);
  const versions = Map.groupBy(rows, ({ name }) => name);
  const compiled = new Map<object, Calendar>();
  return ({ calendars }, atMs) => {
    const gates: CalendarGate[] = [];
    for (const { name, outside } of calendars) {
      const all = versions.get(name) ?? [];
      const row =
        all.find((each) => each.create_time <= atMs && atMs < (each.until_time ?? Infinity)) ?? all[0];
      if (row === undefined) return undefined;
      const calendar =
        compiled.get(row) ??
        compileCalendar(fromJsonString(CalendarSchema, row.spec, { ignoreUnknownFields: true }));
      compiled.set(row, calendar);
      gates.push({ name, outside, calendar });
    }
    return gates;
  };
}

async function findUndelivered(
  on: Queryable,
  expected: ReadonlyMap<string, Expected>,
  epochs: ReadonlyMap<string, readonly WatchedEpochRow[]>,
): Promise<Map<string, Undelivered[]>> {
  const due = [...expected].filter(([, found]) => found.due.length > 0);
  if (due.length === 0) return new Map();
  const pairs = due.flatMap(([jobUid, found]) => found.due.map(({ atMs }) => ({ jobUid, atMs })));
  const triggers = await on.query(watchTriggers, [
    toPlainArray(pairs.map(({ jobUid }) => jobUid)),
    toTimeArray(pairs.map(({ atMs }) => atMs)),
  ]);
  const byTime = new Map(triggers.map((trigger) => [`${trigger.job_uid}/${trigger.fire_time}`, trigger]));
  const skips = Map.groupBy(
    await on.query(watchSkips, [
      toPlainArray(due.map(([jobUid]) => jobUid)),
      toTimeArray(due.map(([, found]) => found.due[0]?.atMs ?? 0)),
      toTimeArray(due.map(([, found]) => found.due.at(-1)?.atMs ?? 0)),
    ]),
    ({ job_uid }) => job_uid,
  );
  return new Map(
    due.map(([jobUid, found]) => {
      const requested = requestedOf(epochs.get(jobUid)?.at(-1));
      const late = found.due.flatMap(({ atMs, deadlineMs }) => {
        const trigger = byTime.get(`${jobUid}/${atMs}`);
        const isFine =
          trigger === undefined
            ? requested.has(atMs) || isSkipped(skips.get(jobUid) ?? [], atMs)
            : isDelivered(trigger, deadlineMs);
        return isFine ? [] : [{ atMs, deadlineMs, trigger }];
      });
      return [jobUid, late];
    }),
  );
}

/** Whether a trigger succeeded in time, or a customer wants it no more. */
function isDelivered({ state, end_time }: WatchedTriggerRow, deadlineMs: number): boolean {
  if (state === "CANCELLED") return true;
  return state === "SUCCEEDED" && (end_time ?? 0) <= deadlineMs;
}

function isSkipped(skips: readonly WatchedSkipRow[], atMs: number): boolean {
  return skips.some(
    ({ first_fire_time, last_fire_time, verdict }) =>
      verdict === "SKIPPED" && first_fire_time <= atMs && atMs <= last_fire_time,
  );
}

function requestedOf(row: WatchedEpochRow | undefined): ReadonlySet<unknown> {
  return new Set(Array.isArray(row?.requested) ? row.requested : []);
}
