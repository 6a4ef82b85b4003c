import { statement } from "../../db/statement.ts";

/** A trigger as the ledger reads it. Times are epoch milliseconds. */
export interface LedgerTriggerRow {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  /** When the next attempt may start. */
  readonly due_time: number;
  readonly job_name: string;
  readonly revision: number;
  readonly kind: "SCHEDULED" | "CATCHUP" | "BACKFILL";
  readonly state: string;
  readonly seq: number;
  readonly attempt_count: number;
  readonly create_time: number;
  readonly start_time: number | null;
  readonly end_time: number | null;
  readonly zone_data: string;
}

/** Reads the triggers of the project's job at the fire times $3, without those of manual runs. */
export const ledgerTriggersAt = statement<LedgerTriggerRow>(
  "ledgerTriggersAt",
  `select * from dispatcher.ledger_triggers_at($1, $2, $3::timestamptz[])`,
);

/** Reads the last attempt that has ended of the project's trigger $2, whose fire time is $3. */
export const lastAttempt = statement<{ outcome: string; status_code: number | null; error: string }>(
  "lastAttempt",
  `select outcome, status_code, error from dispatcher.last_attempt($1, $2, $3)`,
);

/** How late the latest attempt of a trigger started, and the target's part of it, in milliseconds. */
export interface LatenessRow {
  readonly id: string;
  readonly total_ms: number;
  readonly theirs_ms: number;
}

/** Reads the lateness of the triggers $2 of project $1, whose fire times are $3. */
export const ledgerLateness = statement<LatenessRow>(
  "ledgerLateness",
  "select id, total_ms, theirs_ms from dispatcher.lateness($1, $2::text[], $3::timestamptz[])",
);

/** Reads the floor of the project $1, in epoch milliseconds; null while nothing of it was removed. */
export const ledgerFloor = statement<{ floor_time: number | null }>(
  "ledgerFloor",
  "select nullif(dispatcher.retention_floor($1), '-infinity') as floor_time",
);
