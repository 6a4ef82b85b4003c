import { type Statement, statement } from "../../db/statement.ts";
import { PASSES_FILTER } from "./job-filter.sql.ts";

/** A job of a list, with its place in the order: by name, or by time and then by name. */
export interface ListedRow {
  readonly uid: string;
  readonly name: string;
  /** Epoch milliseconds; null when the order is by name, or when the job has no such time. */
  readonly at: number | null;
}

/** A job of a walk, or the place where the walk has ended. */
export interface WalkedRow extends ListedRow {
  /** Whether it is the last job that was looked at, whether it matches or not. */
  readonly is_end: boolean;
}

/** The most jobs of a source that is read as a whole. */
export const FEW = 2_500;
/** The most jobs that are read of such a source, because it may have grown since its jobs were counted. */
const FEW_AND_NEW = 2 * FEW;

/**
 * The statements of one order of jobs. $1 to $8 are the filter. In the orders by name, a page has the names between $9 and
 * $10, both excluded; in those by time, the jobs beyond the time $10 and the name $9.
 */
export interface OrderStatements {
  /**
   * Reads $12 jobs of the project along the index of the order, and returns those that match: at most $11. If they are
   * fewer, and there are $12 jobs, the last one that was read follows as the end. Both are of one snapshot, so no job is
   * between them.
   */
  readonly scan: Statement<WalkedRow>;
  /**
   * Returns the jobs that match and are in a source of about `FEW` jobs: at most $11. The source is named by $12 to $14, see
   * `SourceKind`.
   */
  readonly few: Statement<ListedRow>;
}

/**
 * A set of jobs that an index finds: those with a facet that has one of some values (`value`), those with a facet of any
 * value (`key`), those whose names are in a range, both ends included (`name`), those that are PAUSED, DISABLED or FINISHED
 * (`state`).
 */
export type SourceKind = "value" | "key" | "name" | "state";

// One of these is read: the conditions on the kind are decided before anything is read. Each has an order, so that it is
// read along its index; without one, PostgreSQL may read the whole table until it has found enough.
const source = (kind: number, facet: number, values: number, limit: number) => `(
       select found.uid from unnest($${values}::text[]) as wanted (value) cross join lateral (
         select job_uid as uid from scheduler.job_facets
          where project_id = $1 and facet = $${facet} and value = wanted.value order by name limit ${limit}) as found
        where $${kind} = 'value'
     ) union all (
       select job_uid from scheduler.job_facets
        where $${kind} = 'key' and project_id = $1 and facet = $${facet} order by value, name limit ${limit}
     ) union all (
       select uid from scheduler.jobs
        where $${kind} = 'name' and project_id = $1 and state <> 'DELETED'
          and name collate "C" >= ($${values}::text[])[1] and name collate "C" <= ($${values}::text[])[2]
        order by name collate "C" limit ${limit}
     ) union all (
       select found.uid from unnest($${values}::text[]) as wanted (state) cross join lateral (
         select uid from scheduler.jobs
          where project_id = $1 and state = wanted.state and state in ('PAUSED', 'DISABLED', 'FINISHED')
          order by name collate "C" limit ${limit}) as found
        where $${kind} = 'state'
     ) union all (
       select uid from scheduler.jobs
        where $${kind} = 'state' and 'PAUSED' = any ($${values}::text[]) and project_id = $1 and state = 'ACTIVE'
          and pause_until > $2::timestamptz
        order by pause_until limit ${limit}
     ) limit ${limit}`;

/**
 * Counts the jobs of a source of the project $1, at most one more than `FEW`. $2 is the time; the source is named by $3 to
 * $5.
 */
export const jobsOfSource = statement<{ count: number }>(
  "jobsOfSource",
  `select count(*)::integer as count from (${source(3, 4, 5, FEW + 1)}) as found`,
);

const NAME = `j.name collate "C"`;

interface Order {
  /** What jobs are ordered by before their names; absent if by names only. */
  readonly time?: { readonly key: string; readonly shown: string };
  readonly direction: "asc" | "desc";
}

function statementsOf(name: string, { time, direction }: Order): OrderStatements {
  const key = time?.key ?? "null::timestamptz";
  const shown = `j.uid, j.name, ${time?.shown ?? key} as at`;
  const sign = direction === "asc" ? ">" : "<";
  const orderBy = (keys: readonly string[]) =>
    `order by ${keys.map((each) => `${each} ${direction}`).join(", ")}`;
  const by = orderBy(time === undefined ? [NAME] : [time.key, NAME]);
  const beyond = (first: number) =>
    time === undefined
      ? `${NAME} > $${first} and ${NAME} < $${first + 1}`
      : `(${time.key}, ${NAME}) ${sign} ($${first + 1}::timestamptz, $${first})`;
  const ofProject = (columns: string, first: number) =>
    `select ${columns} from scheduler.jobs j
      where j.project_id = $1 and j.state <> 'DELETED' and ${beyond(first)} ${by}`;
  const keys = `${NAME} as name_key, ${key} as time_key`;
  return {
    // The limit on the outside ends the walk as soon as the page is full. The end is then not looked for.
    scan: statement(
      `jobsScan${name}`,
      `with found as materialized (
         select ${shown} from (${ofProject(`j.*, ${keys}`, 9)} limit $12) as j where ${PASSES_FILTER}
          ${orderBy(time === undefined ? ["j.name_key"] : ["j.time_key", "j.name_key"])} limit $11
       )
       select uid, name, at, false as is_end from found
       union all
       select last.uid, last.name, last.at, true from (${ofProject(shown, 9)} offset $12 - 1 limit 1) as last
        where (select count(*) from found) < $11
        order by is_end, at ${direction}, name ${direction}`,
    ),
    // A join could read the whole table instead. So each job is looked up.
    few: statement(
      `jobsFew${name}`,
      `select ${shown} from (${source(12, 13, 14, FEW_AND_NEW)}) as found
        cross join lateral (select * from scheduler.jobs where uid = found.uid limit 1) as j
        where ${PASSES_FILTER} and ${beyond(9)} ${by} limit $11`,
    ),
  };
}

const CREATE_TIME = { key: "j.create_time", shown: "j.create_time" };
const NEXT_FIRE_TIME = { key: "coalesce(j.next_fire_time, 'infinity')", shown: "j.next_fire_time" };

/** The statements of each order. */
export const orderStatements = {
  byName: statementsOf("ByName", { direction: "asc" }),
  byNameDescending: statementsOf("ByNameDescending", { direction: "desc" }),
  byCreateTime: statementsOf("ByCreateTime", { time: CREATE_TIME, direction: "asc" }),
  byCreateTimeDescending: statementsOf("ByCreateTimeDescending", { time: CREATE_TIME, direction: "desc" }),
  byNextFireTime: statementsOf("ByNextFireTime", { time: NEXT_FIRE_TIME, direction: "asc" }),
} as const satisfies Record<string, OrderStatements>;
