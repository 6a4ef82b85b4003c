import { type Statement, statement } from "../../db/statement.ts";
import type { JobRow } from "../job/job.ts";
import { JOB_WITH_SPEC } from "../job/jobs.sql.ts";
import { PASSES_FILTER } from "./job-filter.sql.ts";

/** The statements that read a page of the jobs that match a filter ($1 to $8), one for each order. */
export interface OrderedJobs {
  /** Jobs after the name $9, at most $10. */
  readonly byName: Statement<JobRow>;
  /** Jobs before the name $9, at most $10. */
  readonly byNameDescending: Statement<JobRow>;
  /** Jobs after the create time $10 and the name $9, at most $11. */
  readonly byCreateTime: Statement<JobRow>;
  /** Jobs before the create time $10 and the name $9, at most $11. */
  readonly byCreateTimeDescending: Statement<JobRow>;
  /** Jobs after the next fire time $10 and the name $9, at most $11. Jobs without a next fire time come last. */
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
