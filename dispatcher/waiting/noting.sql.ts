/**
 * How a statement notes what alerts report of triggers: that one is EXHAUSTED, or has failed for the fourth time. A database
 * trigger would do the same, but PostgreSQL prepares it for each statement and asks it about each changed row, also about
 * those that succeed.
 */

/** What `NOTED` needs of the part `changed`, besides id, state, end_time, job_uid and fire_time, of a table `t`. */
export const NOTED_COLUMNS = "t.attempt_count, t.attempt_base";

/**
 * An expression for the answer of the statement, which comes from the part `changed` as `c`. A fact that is noted already, as
 * when the statement is repeated, is not noted again.
 */
export const NOTED = `case when c.state = 'EXHAUSTED' or c.state = 'RETRYING' and c.attempt_count - c.attempt_base = 4
          then dispatcher.note_failure(c.job_uid, c.state, c.id, c.attempt_count, c.attempt_count - c.attempt_base, c.end_time,
                 c.fire_time) end`;
