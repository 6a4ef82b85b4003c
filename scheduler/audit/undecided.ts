import { LATE_MS } from "../turns/turn.ts";
import type { AuditJobRow } from "./audits.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import type { AuditRecord } from "./record.ts";

/** Which fire times a job has not decided yet, and whether it still may. */
export interface UndecidedTimes {
  isUndecided(atMs: number): boolean;
  /** Whether an open one is so old that nothing explains why it still is. */
  isOverdue(atMs: number): boolean;
}

/** What is known of the scheduler that is to decide them. */
export interface TickState {
  /** Since when its ticks have been succeeding; Infinity when they do not. Epoch milliseconds. */
  readonly tickingSinceMs: number;
  readonly lookAheadMs: number;
}

/** A job that should have been looked at so long ago is looked at by nobody: even after an outage its turn has come. */
const STALLED_MS = 300_000;
/** How much later than any fire time is decided one is overdue. */
const OVERDUE_MS = 60_000;

/** What a record says is open. */
export function readUndecidedTimes(record: AuditRecord, looking: TickState): UndecidedTimes {
  const { row, carry, nowMs } = record;
  const waiting = new Set(carry.waiting);
  const cursorMs = row.next_fire_time ?? Number.POSITIVE_INFINITY;
  const resumeMs = row.state === "PAUSED" ? (row.pause_until ?? Number.POSITIVE_INFINITY) : cursorMs;
  const stalled = isStalled(row, nowMs) && nowMs - looking.tickingSinceMs > STALLED_MS;
  const overdueMs = nowMs - looking.lookAheadMs - LATE_MS - OVERDUE_MS;
  return {
    isUndecided: (atMs) => atMs >= Math.min(cursorMs, resumeMs) || waiting.has(atMs),
    isOverdue: (atMs) => stalled && atMs < overdueMs,
  };
}

function isStalled({ wake_time: wakeMs }: AuditJobRow, nowMs: number): boolean {
  return wakeMs === null || nowMs - wakeMs > STALLED_MS;
}

/** A job that has fire times left, or a pause that is to end, and will not be looked at in time for them. */
export function compareWake({ row, carry }: AuditRecord): LedgerDifference[] {
  const { wake_time: wakeMs, next_fire_time: cursorMs, pause_until: resumeMs } = row;
  const firstMs =
    row.state === "ACTIVE" ? (carry.waiting[0] ?? cursorMs) : row.state === "PAUSED" ? resumeMs : null;
  if (firstMs === null) return [];
  const inTime = wakeMs !== null && (carry.waiting.length > 0 || wakeMs <= firstMs);
  if (inTime) return [];
  const when =
    wakeMs === null ? "is going to look at the job" : `looks at the job before ${isoOrNone(wakeMs)}`;
  const detail = `${isoOrNone(firstMs)} is to be decided next, and no scheduler ${when}.`;
  return [{ kind: "STALLED", atMs: firstMs, detail }];
}
