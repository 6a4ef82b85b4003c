import { statement } from "../db/statement.ts";

/** Makes the monthly partitions that are missing: $2 months from that of $1 on. */
export const partitionEnsure = statement<{ done: string }>(
  "partitionEnsure",
  `select dispatcher.ensure_partitions($1, $2)::text as done`,
);
