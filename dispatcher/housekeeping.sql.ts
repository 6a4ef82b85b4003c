import { statement } from "../db/statement.ts";

/** Makes the missing monthly partitions of $2 months, beginning with the month of $1. */
export const partitionEnsure = statement<{ done: string }>(
  "partitionEnsure",
  `select dispatcher.ensure_partitions($1, $2)::text as done`,
);
