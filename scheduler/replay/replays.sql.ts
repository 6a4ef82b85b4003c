import { statement } from "../../db/statement.ts";

/** Finds trigger $2 of project $1: its job, its fire time and its state. No row if there is none. */
export const replayFind = statement<{
  fire_time: number;
  job_uid: string;
  job_name: string;
  state: string;
}>("replayFind", "select fire_time, job_uid, job_name, state from dispatcher.find_trigger($1, $2)");

/**
 * Makes triggers $2 of project $1 due again at $8 whose fire times are $3, under the job's revisions $4 and names $5, all in
 * the same order: those that have ended in one of the states $6, at $7 at the latest. Returns their ids.
 */
export const replayTriggers = statement<{ id: string }>(
  "replayTriggers",
  `select id from dispatcher.replay($1, $2::text[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7, $8) as id`,
);
