import { statement } from "../db/statement.ts";

/** A trigger as the ledger reads it. Times are epoch milliseconds. */
export interface LedgerTriggerRow {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  readonly job_name: string;
  readonly revision: number;
  readonly kind: "SCHEDULED" | "CATCHUP" | "BACKFILL";
  readonly state: string;
  readonly seq: number;
  readonly previous_skipped: number;
  readonly previous_missed: number;
  readonly attempt_count: number;
  readonly create_time: number;
  readonly start_time: number | null;
  readonly end_time: number | null;
  readonly zone_data: string;
}

/** Triggers of the project's job with fire times from $3 to $4, both inclusive, at most $5, without manual runs. */
export const ledgerTriggers = statement<LedgerTriggerRow>(
  "ledgerTriggers",
  `select * from dispatcher.ledger_triggers($1, $2, $3, $4, $5) order by fire_time`,
);
