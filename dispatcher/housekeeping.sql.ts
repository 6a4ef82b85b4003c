import { statement } from "../db/statement.ts";

/** Lists the missing monthly partitions of $2 months, beginning with the month of $1, earliest first. */
export const partitionListMissing = statement<{ of_table: string; month_start: number; name: string }>(
  "partitionListMissing",
  `select p.of_table, p.month_start, p.name
     from (select t.of_table, m.month_start,
                  t.of_table || '_' || to_char(m.month_start at time zone 'UTC', 'YYYY_MM') as name
             from unnest(array['triggers', 'attempts']) as t (of_table)
            cross join generate_series(0, $2::integer - 1) as n (months)
            cross join lateral (
              select (date_trunc('month', $1::timestamptz at time zone 'UTC') + make_interval(months => n.months))
                       at time zone 'UTC' as month_start
            ) m) p
    where to_regclass('dispatcher.' || p.name) is null
    order by p.month_start, p.of_table`,
);

/** Makes the partition of table $1 for the month that begins at $2. Returns MADE, EXISTS, IN_DEFAULT or BUSY. */
export const partitionMake = statement<{ outcome: string }>(
  "partitionMake",
  `select dispatcher.make_partition($1, $2) as outcome`,
);

/** Limits every later statement of the transaction to $1 milliseconds. */
export const partitionLimit = statement<{ limit: string }>(
  "partitionLimit",
  `select set_config('statement_timeout', $1, true) as limit`,
);

/** Returns what holds back the removal of dead rows for longest, if anything does. */
export const snapshotOldest = statement<{
  kind: "SESSION" | "PREPARED" | "SLOT";
  pid: number | null;
  name: string;
  age_ms: number;
}>("snapshotOldest", `select kind, pid, name, age_ms from dispatcher.oldest_snapshot()`);
