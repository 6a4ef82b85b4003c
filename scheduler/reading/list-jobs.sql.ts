import { type Statement, statement } from "../../db/statement.ts";
import type { JobRow } from "../job/job.ts";
import { JOB_WITH_SPEC } from "../job/jobs.sql.ts";
import { PASSES_FILTER } from "./job-filter.sql.ts";

/** Statements that give a page of the jobs that pass a filter ($1 to $8), each in an order of its own. */
export interface OrderedJobs {
  /** After the name $9, at most $10. */
  readonly byName: Statement<JobRow>;
  /** Before the name $9, at most $10. */
  readonly byNameDescending: Statement<JobRow>;
  /** After the time $10 and the name $9, at most $11. */
  readonly byCreateTime: Statement<JobRow>;
  /** Before the time $10 and the name $9, at most $11. */
  readonly byCreateTimeDescending: Statement<JobRow>;
  /** After the time $10 and the name $9, at most $11; last those that have none. */
  readonly byNextFireTime: Statement<JobRow>;
}

const NAME = `j.name collate "C"`;
const NEXT_FIRE_TIME = `coalesce(j.next_fire_time, 'infinity')`;

const listed = (name: string, after: string) =>
  statement<JobRow>(name, `select ${JOB_WITH_SPEC} where ${PASSES_FILTER} and ${after}`);

/** See `OrderedJobs`. */
export const orderedJobs: OrderedJobs = {
  byName: listed("jobsFilteredByName", `${NAME} > $9 order by ${NAME} limit $10`),
  byNameDescending: listed("jobsFilteredByNameDescending", `${NAME} < $9 order by ${NAME} desc limit $10`),
  byCreateTime: listed(
    "jobsFilteredByCreateTime",
    `(j.create_time, ${NAME}) > ($10::timestamptz, $9) order by j.create_time, ${NAME} limit $11`,
  ),
  byCreateTimeDescending: listed(
    "jobsFilteredByCreateTimeDescending",
    `(j.create_time, ${NAME}) < ($10::timestamptz, $9) order by j.create_time desc, ${NAME} desc limit $11`,
  ),
  byNextFireTime: listed(
    "jobsFilteredByNextFireTime",
    `(${NEXT_FIRE_TIME}, ${NAME}) > ($10::timestamptz, $9) order by ${NEXT_FIRE_TIME}, ${NAME} limit $11`,
  ),
};
