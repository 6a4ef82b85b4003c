import { statement } from "../../db/statement.ts";

/** Creates a project. $3 is the time. */
export const projectInsert = statement<{ id: string }>(
  "projectInsert",
  `insert into gateway.projects (id, display_name, create_time)
   values ($1, $2, $3)
   returning id`,
);

/** Returns a row if the project exists. */
export const projectById = statement<{ id: string }>(
  "projectById",
  `select id from gateway.projects where id = $1`,
);

/** A project, with its create time in epoch milliseconds. */
export interface ProjectRow {
  readonly id: string;
  readonly display_name: string;
  readonly create_time: number;
}

/** Reads the project $1. */
export const projectRead = statement<ProjectRow>(
  "projectRead",
  `select id, display_name, create_time from gateway.projects where id = $1`,
);

/** Gives the project $1 the display name $2. */
export const projectRename = statement<{ id: string }>(
  "projectRename",
  `update gateway.projects set display_name = $2 where id = $1 returning id`,
);
