/** Why a trigger was made, as PostgreSQL spells it. */
export type TriggerKindName = "SCHEDULED" | "CATCHUP" | "MANUAL" | "BACKFILL";

/** The copy of a trigger that this process holds in memory. Times are epoch milliseconds. */
export interface HeldTrigger {
  /** trg_…; the webhook-id of every attempt. */
  readonly id: string;
  /** Nominal time. */
  readonly fireTimeMs: number;
  /** No attempt starts before this. */
  readonly effectiveTimeMs: number;
  readonly projectId: string;
  readonly jobUid: string;
  readonly jobName: string;
  readonly revision: number;
  readonly kind: TriggerKindName;
  readonly seq: number;
  readonly previousFireTimeMs: number | null;
  readonly nextFireTimeMs: number | null;
  /** How many fire times of the job were skipped since the scheduled trigger before. */
  readonly previousSkipped: number;
  /** How many were missed since then. */
  readonly previousMissed: number;
  /** JSON text in place of the job's payload. */
  readonly payload: string | null;
  /** Attempts started before a backfill last made it due again; the retry policy counts from there. */
  readonly attemptBase: number;
  /** When the next attempt may start. */
  dueTimeMs: number;
  /** Attempts started so far. */
  attemptCount: number;
}

/** A row of dispatcher.triggers, as far as an attempt needs it. */
export interface TriggerRow {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  readonly due_time: number;
  readonly project_id: string;
  readonly job_uid: string;
  readonly job_name: string;
  readonly revision: number;
  readonly kind: TriggerKindName;
  readonly seq: number;
  readonly previous_fire_time: number | null;
  readonly next_fire_time: number | null;
  readonly previous_skipped: number;
  readonly previous_missed: number;
  readonly payload: string | null;
  readonly attempt_count: number;
  readonly attempt_base: number;
}

/** Whether a trigger makes up for something: an outage, or by a backfill. It gives way to those on time. */
export function isLate({ kind, attemptBase }: HeldTrigger): boolean {
  return kind === "CATCHUP" || kind === "BACKFILL" || attemptBase > 0;
}

/** The memory's copy of a row. */
export function toHeldTrigger(row: TriggerRow): HeldTrigger {
  return {
    id: row.id,
    fireTimeMs: row.fire_time,
    effectiveTimeMs: row.effective_time,
    projectId: row.project_id,
    jobUid: row.job_uid,
    jobName: row.job_name,
    revision: row.revision,
    kind: row.kind,
    seq: row.seq,
    previousFireTimeMs: row.previous_fire_time,
    nextFireTimeMs: row.next_fire_time,
    previousSkipped: row.previous_skipped,
    previousMissed: row.previous_missed,
    payload: row.payload,
    dueTimeMs: row.due_time,
    attemptCount: row.attempt_count,
    attemptBase: row.attempt_base,
  };
}
