import { statement } from "../../db/statement.ts";
import type { DataKeyRow } from "../signing-keys/data-keys.sql.ts";

/** Reads the data key of project $1. */
export const tokenDataKey = statement<DataKeyRow>(
  "tokenDataKey",
  `select project_id, master_key_id, wrapped_key from dispatcher.data_keys where project_id = $1`,
);
