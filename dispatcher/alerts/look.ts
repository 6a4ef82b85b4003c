import { toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import type { Wanted } from "../../mesh/loop.ts";
import type { Events } from "../events/events.ts";
import { type Watch, type WatchParts, watchJobs } from "../watching/watch.ts";
import { type AlertRule, readAlertRule } from "./alert-rule.ts";
import {
  type AlertFactRow,
  type AlertJobRow,
  alertFactsRead,
  alertJobForget,
  alertJobHold,
  alertJobRemove,
  alertJobsMove,
  alertJobsTake,
  alertSpec,
  alertSuccesses,
  alertsRecent,
  alertsRecord,
} from "./alerts.sql.ts";
import { type AlertDraft, type AlertState, decideAlerts } from "./decide.ts";
import { alertId, toAlertDocument } from "./document.ts";
import type { Fact } from "./fact.ts";
import { nextLookMs } from "./next-look.ts";
import type { ProjectAlertsRow } from "./project-alerts.sql.ts";
import { readProjectAlerts } from "./project-alerts.ts";

/** What looking at jobs needs. */
export interface LookParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly watch: WatchParts;
}

/** Time between two looks. */
export const LOOK_EVERY_MS = 500;

/** Most jobs that are taken for one look because they have facts, and most because their time has come. */
const MAX_JOBS = 100;
/** If a dispatcher dies while it looks at jobs, others look at them after this time. */
const TAKEN_MS = 15_000;
/** In this time, a job has at most so many alerts, and a project. The others wait, and are then made as one. */
const RATE = { timeMs: 600_000, ofJob: 20, ofProject: 500 };
/** How long a job with too many alerts is left alone. */
const HELD_MS = 60_000;
/** How long a job is left alone whose alerts cannot be decided or recorded. */
const FAULT_MS = 600_000;

/**
 * Looks at jobs with alerts about which something was noted, whose fire times are to be judged, or that may have recovered;
 * and records the alerts about them. Alerts and the new state of a job are recorded in one statement, so a crash loses
 * nothing and repeats nothing. If the job got a new revision with alerts meanwhile, or another dispatcher has taken it,
 * nothing of this look is stored: the next look starts from what is true by then. Throws SERVICE_UNAVAILABLE.
 */
export async function lookAtJobs(parts: LookParts): Promise<Wanted> {
  const { database, clock } = parts;
  const nowMs = clock.now();
  const jobs = await database.query(alertJobsTake, [toSqlTime(nowMs), MAX_JOBS, toSqlTime(nowMs + TAKEN_MS)]);
  if (jobs.length === 0) return { more: false };
  const uids = jobs.map(({ job_uid }) => job_uid);
  const facts = Map.groupBy(await database.query(alertFactsRead, [uids]), ({ job_uid }) => job_uid);
  const watches = await watchJobs(
    database,
    parts.watch,
    jobs.map((job) => ({
      jobUid: job.job_uid,
      projectId: job.project_id,
      withinMs: job.within_ms,
      watchedUntilMs: job.watched_until,
    })),
    nowMs,
  );
  const projects = await readProjectAlerts(
    database,
    jobs.map(({ project_id }) => project_id),
  );
  const looks = jobs.map((job) => ({
    ...toLook(job, facts.get(job.job_uid) ?? [], watches.get(job.job_uid)),
    ofProject: projects.get(job.project_id),
  }));
  const successes = await readSuccesses(database, looks);
  const quiet: Look[] = [];
  for (const look of looks) {
    if (look.facts.length === 0 && !successes.has(look.job.job_uid) && goesOn(look)) quiet.push(look);
    else await finish(parts, look, successes.get(look.job.job_uid) ?? null, nowMs);
  }
  await move(database, quiet, nowMs);
  return { more: jobs.length >= MAX_JOBS };
}

/** Whether a job is watched and will be. What else is true of it is found when its alerts are read. */
function goesOn({ job, watch, ofProject }: Look): boolean {
  if (job.within_ms === null || watch === undefined || watch.isDeleted) return false;
  if (!job.of_project) return watch.hasAlerts;
  return !watch.hasAlerts && ofProject?.within_ms === job.within_ms;
}

/** A job, and what is known about it now. */
interface Look {
  readonly job: AlertJobRow;
  /** Undefined if there is no such job. */
  readonly watch: Watch | undefined;
  readonly noted: readonly AlertFactRow[];
  readonly facts: readonly Fact[];
  /** The alerts of its project; undefined if there are none. */
  readonly ofProject: ProjectAlertsRow | undefined;
}

function toLook(
  job: AlertJobRow,
  noted: readonly AlertFactRow[],
  watch: Watch | undefined,
): Omit<Look, "ofProject"> {
  return { job, watch, noted, facts: [...noted.map(toFact), ...lateFacts(watch)] };
}

function toFact(row: AlertFactRow): Fact {
  const { kind, cause, fact_time: timeMs, fire_count: count, reason, trigger_id: id } = row;
  const times = [row.first_fire_time, row.last_fire_time].filter((time) => time !== null);
  const nominalMs = row.last_fire_time ?? timeMs;
  const triggers = id === null ? [] : [{ id, nominalMs, attempts: row.attempts ?? 0 }];
  return { kind, cause, timeMs, fireTimesMs: [...new Set(times)], count, triggers, reason };
}

function lateFacts(watch: Watch | undefined): Fact[] {
  return (watch?.undelivered ?? []).map(({ atMs, deadlineMs, trigger }) => ({
    kind: "NOT_DELIVERED",
    cause: new Date(atMs).toISOString(),
    timeMs: deadlineMs,
    fireTimesMs: [atMs],
    count: 1,
    triggers: trigger === undefined ? [] : [{ id: trigger.id, nominalMs: atMs, attempts: trigger.attempts }],
    reason: "",
  }));
}

/** Reads the latest successes of the jobs that are in trouble. */
async function readSuccesses(database: Database, looks: readonly Look[]): Promise<Map<string, number>> {
  const since = looks.flatMap(({ job, facts }) => {
    const times = facts
      .filter(({ kind }) => kind !== "MISSED" && kind !== "DISABLED")
      .map((fact) => fact.timeMs);
    const sinceMs = job.since_time ?? (times.length === 0 ? null : Math.min(...times));
    return sinceMs === null ? [] : [{ uid: job.job_uid, sinceMs }];
  });
  if (since.length === 0) return new Map();
  const rows = await database.query(alertSuccesses, [
    since.map(({ uid }) => uid),
    toTimeArray(since.map(({ sinceMs }) => sinceMs)),
  ]);
  return new Map(rows.map(({ job_uid, end_time }) => [job_uid, end_time]));
}

/** Decides and records. What fails because of this job alone is reported, and tried again later. */
async function finish(parts: LookParts, look: Look, successMs: number | null, nowMs: number): Promise<void> {
  const { database, events } = parts;
  const { job_uid: uid, taken } = look.job;
  try {
    const rule = await readRule(database, look);
    if (rule === undefined) await database.query(alertJobForget, [uid, taken]);
    else {
      const isCalm = await record(parts, look, rule, { successMs, nowMs });
      // What was recorded has set held_until to now.
      if (look.watch?.isDeleted === true && look.noted.length === 0)
        await database.query(alertJobForget, [uid, toSqlTime(nowMs)]);
      else if (isCalm && rule.isOfProject && rule.withinMs === null)
        await database.query(alertJobRemove, [uid, toSqlTime(nowMs)]);
    }
  } catch (error) {
    if (error instanceof EasyCronError) throw error;
    events.emit("trouble", { part: `alerts of job ${uid}`, error });
    await database.query(alertJobHold, [uid, toSqlTime(nowMs + FAULT_MS), taken]);
  }
}

/** The rule that holds for a job. */
interface HeldRule extends AlertRule {
  /** Whether it is that of the project. */
  readonly isOfProject: boolean;
}

/** Reads the job's own rule, or else that of its project. */
async function readRule(database: Database, { job, watch, ofProject }: Look): Promise<HeldRule | undefined> {
  if (watch === undefined) return undefined;
  const [row] = await database.query(alertSpec, [job.job_uid, watch.revision]);
  const own = row === undefined ? undefined : readAlertRule(row.spec);
  if (own !== undefined) return { ...own, isOfProject: false };
  const rule = ofProject === undefined ? undefined : readAlertRule(ofProject.spec);
  return rule === undefined ? undefined : { ...rule, isOfProject: true };
}

/** Returns whether the job is not in trouble. */
async function record(
  { database, events }: LookParts,
  look: Look,
  rule: HeldRule,
  { successMs, nowMs }: { readonly successMs: number | null; readonly nowMs: number },
): Promise<boolean> {
  const { job, watch, noted, facts } = look;
  if (watch === undefined) return false;
  const before: AlertState = { told: new Set(job.told), sinceMs: job.since_time };
  const { state, drafts } = decideAlerts({ rule, state: before, facts, successMs });
  if (drafts.length > 0 && (await isTooMany(database, job, nowMs))) {
    events.emit("alertsHeld", { jobUid: job.job_uid, projectId: job.project_id });
    await database.query(alertJobHold, [job.job_uid, toSqlTime(nowMs + HELD_MS), job.taken]);
    return false;
  }
  const ofJob = {
    projectId: job.project_id,
    uid: job.job_uid,
    name: watch.jobName,
    revision: watch.revision,
    withinMs: rule.withinMs,
  };
  const made = drafts.map((draft: AlertDraft) => ({
    id: alertId(job.job_uid, draft),
    event: draft.event,
    body: toAlertDocument(ofJob, draft),
  }));
  await database.query(alertsRecord, [
    job.job_uid,
    job.project_id,
    made.map(({ id }) => id),
    made.map(({ event }) => event),
    made.map(({ body }) => body),
    toSqlTime(nowMs),
    noted.map(({ kind }) => kind),
    noted.map(({ cause }) => cause),
    [...state.told],
    toSqlTimeOrNull(state.sinceMs),
    // Fire times of before the switch was turned on are not judged.
    toSqlTime(job.within_ms === null && rule.withinMs !== null ? nowMs : watch.watchedUntilMs),
    toSqlTime(
      nextLookMs(watch, {
        isWatched: rule.withinMs !== null,
        sinceMs: state.sinceMs,
        sharedBy: sharedBy(look),
        nowMs,
      }),
    ),
    toSqlTime(nowMs),
    job.taken,
    rule.withinMs,
    rule.isOfProject,
  ]);
  return state.sinceMs === null;
}

async function isTooMany(database: Database, job: AlertJobRow, nowMs: number): Promise<boolean> {
  const since = toSqlTime(nowMs - RATE.timeMs);
  const [recent] = await database.query(alertsRecent, [job.job_uid, job.project_id, since]);
  return recent !== undefined && (recent.of_job >= RATE.ofJob || recent.of_project >= RATE.ofProject);
}

/** Returns how many jobs are watched because of the same alerts of a project; 0 for a job with alerts of its own. */
function sharedBy({ job, ofProject }: Look): number {
  return job.of_project ? (ofProject?.job_count ?? 0) : 0;
}

/** Stores for jobs about which nothing is reported when to look at them again. */
async function move(database: Database, looks: readonly Look[], nowMs: number): Promise<void> {
  const moved = looks.flatMap((look) => (look.watch === undefined ? [] : [{ ...look, watch: look.watch }]));
  if (moved.length === 0) return;
  await database.query(alertJobsMove, [
    moved.map(({ job }) => job.job_uid),
    toTimeArray(moved.map(({ watch }) => watch.watchedUntilMs)),
    toTimeArray(
      moved.map((look) =>
        nextLookMs(look.watch, {
          isWatched: true,
          sinceMs: look.job.since_time,
          sharedBy: sharedBy(look),
          nowMs,
        }),
      ),
    ),
    toSqlTime(nowMs),
    moved.map(({ job }) => job.taken),
  ]);
}
