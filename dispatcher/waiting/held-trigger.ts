/** Why a trigger was made, as stored in PostgreSQL. */
export type TriggerKindName = "SCHEDULED" | "CATCHUP" | "MANUAL" | "BACKFILL";

/** What a trigger that is due may wait for, as stored in PostgreSQL. */
export type WaitingForName = "FLOW" | "BREAKER" | "RETRY_AFTER";

/** The copy of a trigger in the memory of this process. Times are epoch milliseconds. */
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
  /** How many fire times of the job were missed since the scheduled trigger before. */
  readonly previousMissed: number;
  /** JSON text that replaces the job's payload; null when the job's payload is sent. */
  readonly payload: string | null;
  /**
   * How many attempts had started when a backfill last made the trigger due again; 0 if none has. The retry policy
   * counts only the attempts after these.
   */
  readonly attemptBase: number;
  /** Earliest start of the next attempt. */
  dueTimeMs: number;
  /** Attempts started so far. */
  attemptCount: number;
  /** What it has waited for since its last claim; null if it has not waited. */
  waitingFor: WaitingForName | null;
  /** When it began to wait before its first attempt; null if it has not. */
  waitingSinceMs: number | null;
}

/** The columns of dispatcher.triggers that an attempt needs. Times are epoch milliseconds. */
export interface HeldTriggerRow {
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
  readonly waiting_for: WaitingForName | null;
  readonly waiting_since: number | null;
}

/** A trigger as a list names it that is made when a statement for many triggers fails. */
export interface ListedTrigger {
  readonly id: string;
  readonly project_id: string;
  readonly job_uid: string;
  /** Epoch milliseconds. */
  readonly due_time: number;
}

/**
 * Whether a trigger is late: it is a catch-up after an outage, or a backfill made it or made it due again. All other
 * triggers are on time. Late triggers give way to those on time.
 */
export function isLate({ kind, attemptBase }: HeldTrigger): boolean {
  return kind === "CATCHUP" || kind === "BACKFILL" || attemptBase > 0;
}

/** Converts a row to the copy that is held in memory. */
export function toHeldTrigger(row: HeldTriggerRow): HeldTrigger {
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
    waitingFor: row.waiting_for,
    waitingSinceMs: sinceOf(row),
  };
}

// A replay leaves the wait of earlier attempts in the row.
function sinceOf({ waiting_since: sinceMs, effective_time: effectiveMs }: HeldTriggerRow): number | null {
  return sinceMs === null || sinceMs < effectiveMs ? null : sinceMs;
}
