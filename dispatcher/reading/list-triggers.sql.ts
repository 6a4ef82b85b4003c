import { type Statement, statement } from "../../db/statement.ts";
import { TRIGGER_COLUMNS, type TriggerView } from "./reads.sql.ts";

/** The most rows that one statement reads, for the project or for each of the jobs. */
export const MAX_ROWS_READ = 1_000;

/** A trigger that a statement with a slice returns. */
export interface SlicedTrigger extends TriggerView {
  /** Its place in the slice, from 1. */
  readonly position: number;
}

// Each statement serves one kind of filter along one index, so it has one good plan. The constant limit tells PostgreSQL
// how little is wanted. With a parameter alone it would plan for a tenth of the history, and might sort all of it. The
// condition on fire_time alone lets it leave partitions out. There is no second upper bound on fire_time: with two of
// them PostgreSQL 18 begins at the newest trigger, and reads past every page before this one.
const IN_RANGE = "t.fire_time >= $2 and t.fire_time <= $3 and (t.fire_time, t.id) < ($3, $4)";
const NEWEST_FIRST = "order by t.fire_time desc, t.id desc";

function newest(condition: string): string {
  return `select ${TRIGGER_COLUMNS}, t.project_id from dispatcher.triggers t
           where ${condition} and ${IN_RANGE} ${NEWEST_FIRST} limit ${MAX_ROWS_READ}`;
}

/**
 * The same of the live triggers. Their rows of dispatcher.triggers are read one by one, by a subquery that PostgreSQL cannot
 * turn into another join.
 */
function newestLive(condition: string): string {
  return `select ${TRIGGER_COLUMNS}, l.project_id from dispatcher.live_triggers l
           cross join lateral (select * from dispatcher.triggers t
                                where t.id = l.id and t.fire_time = l.fire_time offset 0) t
           where ${condition} and ${IN_RANGE.replaceAll("t.", "l.")} ${NEWEST_FIRST.replaceAll("t.", "l.")}
           limit ${MAX_ROWS_READ}`;
}

function ofProject(condition: string): string {
  return newest(`t.project_id = $1${condition}`);
}

/**
 * Reads at most `limit` triggers of each job. A job belongs to one project, so the project may be checked after the inner
 * limits.
 */
function ofJobs(jobs: string, limit: string, condition: string): string {
  return eachOf(jobs, limit, newest(`t.job_uid = job.uid${condition}`));
}

function eachOf(jobs: string, limit: string, newestOfJob: string): string {
  return `select t.* from unnest(${jobs}::text[]) as job (uid)
            cross join lateral (
              select t.* from (${newestOfJob}) t ${NEWEST_FIRST} limit ${limit}
            ) t
           where t.project_id = $1 ${NEWEST_FIRST} limit ${MAX_ROWS_READ}`;
}

function page(rows: string): string {
  return `select ${TRIGGER_COLUMNS} from (${rows}) t ${NEWEST_FIRST} limit $5`;
}

function slice(rows: string): string {
  return `select ${TRIGGER_COLUMNS}, t.position from (
            select t.*, row_number() over (${NEWEST_FIRST}) as position from (${rows}) t ${NEWEST_FIRST} limit $7
          ) t where t.state = $6 or t.position = $7 ${NEWEST_FIRST} limit $5`;
}

/**
 * The statements that list triggers, newest nominal time first. Each lists at most $5 triggers of project $1 with nominal
 * times from $2 on, after the place ($3, $4) of nominal time and id. The values of a statement "of jobs" end with the uids
 * of the jobs, which are at most 100.
 *
 * A statement of a slice reads the next $7 triggers of its index. It returns those in state $6, and also the last one of
 * the slice, in any state. If it does not return a trigger with the position $7, no trigger is left.
 */
export const triggerLists = {
  /** In any state. */
  any: {
    ofProject: statement<TriggerView>("triggerListByProject", page(ofProject(""))),
    ofJobs: statement<TriggerView>("triggerListByJobs", page(ofJobs("$6", "$5", ""))),
  },
  /** In state $6, EXHAUSTED or CANCELLED. */
  rareEnd: {
    ofProject: statement<TriggerView>("triggerListRareEndByProject", page(ofProject(" and t.rare_end = $6"))),
    ofJobs: statement<TriggerView>(
      "triggerListRareEndByJobs",
      page(ofJobs("$7", "$5", " and t.rare_end = $6")),
    ),
  },
  /** A slice of the triggers that have not ended. */
  live: {
    ofProject: statement<SlicedTrigger>("triggerSliceLiveByProject", slice(newestLive("l.project_id = $1"))),
    ofJobs: statement<SlicedTrigger>(
      "triggerSliceLiveByJobs",
      slice(eachOf("$8", "$7", newestLive("l.job_uid = job.uid"))),
    ),
  },
  /** A slice of all triggers. */
  all: {
    ofProject: statement<SlicedTrigger>("triggerSliceByProject", slice(ofProject(""))),
    ofJobs: statement<SlicedTrigger>("triggerSliceByJobs", slice(ofJobs("$8", "$7", ""))),
  },
} as const satisfies Record<string, Record<"ofProject" | "ofJobs", Statement<TriggerView>>>;
