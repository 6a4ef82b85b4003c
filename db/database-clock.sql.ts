import { statement } from "./statement.ts";

/** Reads PostgreSQL's clock, in milliseconds since 1970 with three decimals. */
export const clockRead = statement<{ now_ms: number }>(
  "clockRead",
  "select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms",
);
