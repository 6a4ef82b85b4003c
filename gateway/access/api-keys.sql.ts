import { statement } from "../../db/statement.ts";

/** Creates an API key of a project. Returns no row if the project does not exist. $5 is the time. */
export const apiKeyInsert = statement<{ id: string }>(
  "apiKeyInsert",
  `insert into gateway.api_keys (id, project_id, display_name, secret_hash, create_time)
   select $1, id, $3, $4, $5
     from gateway.projects
    where id = $2
   returning id`,
);

/** Finds an API key and its project by the SHA-256 of the secret. */
export const apiKeyByHash = statement<{ id: string; project_id: string; plugins: string[] }>(
  "apiKeyByHash",
  `select k.id, p.id as project_id, p.plugins
     from gateway.api_keys k
     join gateway.projects p on p.id = k.project_id
    where k.secret_hash = $1`,
);
