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
