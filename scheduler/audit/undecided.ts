import { isHalted } from "../job/job.ts";
import { LATE_MS } from "../turns/turn.ts";
import type { AuditJobRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import type { AuditRecord } from "./record.ts";

/** Tells which fire times a job has not decided yet, and which of them should have been decided by now. */
export interface UndecidedTimes {
  /** Returns whether the job has not decided a fire time yet. */
  isUndecided(atMs: number): boolean;
  /** Returns whether an undecided fire time is so old that no outage explains it. */
  isOverdue(atMs: number): boolean;
}

/** The state of the loop that decides fire times. */
export interface TickState {
  /** The time since which its ticks have been succeeding; Infinity while they fail. Epoch milliseconds. */
  readonly tickingSinceMs: number;
  readonly lookAheadMs: number;
}

/** A job whose wake time is longer ago than this is stalled: even after an outage its turn would have come by now. */
const STALLED_MS = 300_000;
/** An undecided fire time is overdue this long after the latest moment at which fire times are usually decided. */
const OVERDUE_MS = 60_000;

/** Derives from a record which fire times are undecided. */
export function readUndecidedTimes(record: AuditRecord, tick: TickState): UndecidedTimes {
  const { row, carry, nowMs } = record;
  const waiting = new Set(carry.waiting);
  const cursorMs = row.next_fire_time ?? Number.POSITIVE_INFINITY;
  const resumeMs = isHalted(row.state) ? (row.pause_until ?? Number.POSITIVE_INFINITY) : cursorMs;
  const stalled = isStalled(row, nowMs) && nowMs - tick.tickingSinceMs > STALLED_MS;
  const overdueMs = nowMs - tick.lookAheadMs - LATE_MS - OVERDUE_MS;
  return {
    isUndecided: (atMs) => atMs >= Math.min(cursorMs, resumeMs) || waiting.has(atMs),
    isOverdue: (atMs) => stalled && atMs < overdueMs,
  };
}

function isStalled({ wake_time: wakeMs }: AuditJobRow, nowMs: number): boolean {
  return wakeMs === null || nowMs - wakeMs > STALLED_MS;
}

/** Reports a job whose wake time is missing, or later than its next fire time or the end of its pause. */
export function compareWake({ row, carry }: AuditRecord): LedgerDifference[] {
  const { wake_time: wakeMs, next_fire_time: cursorMs, pause_until: resumeMs } = row;
  const firstMs =
    row.state === "ACTIVE" ? (carry.waiting[0] ?? cursorMs) : row.state === "PAUSED" ? resumeMs : null;
  if (firstMs === null) return [];
  const inTime = wakeMs !== null && (carry.waiting.length > 0 || wakeMs <= firstMs);
  if (inTime) return [];
  const until = wakeMs === null ? "" : ` before ${isoOrNone(wakeMs)}`;
  const detail = `${isoOrNone(firstMs)} must be decided next, but no scheduler wakes for the job${until}.`;
  return [{ kind: "STALLED", atMs: firstMs, detail }];
}
