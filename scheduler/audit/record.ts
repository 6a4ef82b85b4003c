import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type Carry, readCarry } from "../job/carry.ts";
import { type SkipRow, skipsBetween } from "../job/skips.sql.ts";
import { readFloor } from "../ledger/floor.ts";
import { type LedgerTriggerRow, ledgerTriggersAt } from "../ledger/ledger.sql.ts";
import type { Parts } from "../parts.ts";
import {
  type AuditEpochRow,
  type AuditJobRow,
  type AuditTriggerRow,
  auditEpochs,
  auditJobByUid,
  auditRevisions,
  auditTriggers,
} from "./audits.sql.ts";
import { type AuditCalendars, readCalendarVersions } from "./calendars.ts";
import {
  type AuditSegment,
  type ExpectedFireTime,
  expectedFireTimes,
  type TimesRange,
  toAuditSegments,
} from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import { type RevisionRules, toRevisionRules, wantedRevisions } from "./revision-rules.ts";

/** Everything that an audit compares, read in one snapshot. Times are epoch milliseconds. */
export interface AuditRecord {
  readonly row: AuditJobRow;
  readonly carry: Carry;
  readonly nowMs: number;
  readonly fromMs: number;
  /** Earlier triggers may be removed. -Infinity while nothing was removed. */
  readonly floorMs: number;
  /** Exclusive. */
  readonly endMs: number;
  readonly epochs: readonly AuditEpochRow[];
  readonly rulesByRevision: ReadonlyMap<number, RevisionRules>;
  readonly segments: readonly AuditSegment[];
  /** Ascending. */
  readonly expected: readonly ExpectedFireTime[];
  /** In the order of their fire times. */
  readonly triggers: readonly AuditTriggerRow[];
  /** Triggers outside the range that triggers in the range name as their predecessors in the chain. */
  readonly predecessors: readonly LedgerTriggerRow[];
  readonly skips: readonly SkipRow[];
  readonly calendars: AuditCalendars;
}

/**
 * How many triggers are read for each expected fire time, on average. There can be more than one, because backfills and
 * earlier revisions have triggers at other times.
 */
const TRIGGERS_PER_FIRE_TIME = 2;
/** How many more triggers are read in total, and the most predecessors that are read. */
const EXTRA_TRIGGERS = 1_000;

/**
 * Reads a job's ledger and computes the fire times that it must contain. The caller passes one snapshot: in it, every
 * fire time that the job's row says is decided has its trigger or its skip. The schedules are compiled from their
 * stored text, not taken from the cache. It begins at the floor of the project at the earliest. Returns null if the job's row no longer exists.
 */
export async function readAuditRecord(
  tx: Queryable,
  parts: Pick<Parts, "zoneData" | "clock">,
  job: { readonly uid: string; readonly project_id: string },
  range: TimesRange,
  pace: Pace,
): Promise<AuditRecord | null> {
  const [row] = await tx.query(auditJobByUid, [job.project_id, job.uid]);
  if (row === undefined) return null;
  const nowMs = parts.clock.now();
  const floorMs = await readFloor(tx, row.project_id);
  const fromMs = Math.max(range.fromMs, floorMs);
  const epochs = await tx.query(auditEpochs, [row.uid]);
  const untilMs = Math.max(fromMs, Math.min(range.untilMs, nowMs));
  const wanted = wantedRevisions(epochs, { fromMs, untilMs });
  const rulesByRevision = toRevisionRules(parts, row.uid, await tx.query(auditRevisions, [row.uid, wanted]));
  const segments = toAuditSegments(row, epochs, rulesByRevision, untilMs);
  const found = await expectedFireTimes(segments, { ...range, fromMs, untilMs }, pace);
  const { triggers, endMs } = await readTriggers(tx, row, fromMs, found.endMs, range.limit);
  const skips = await tx.query(skipsBetween, [
    row.uid,
    toSqlTime(fromMs),
    toSqlTime(Math.max(fromMs, endMs - 1)),
  ]);
  return {
    row,
    carry: readCarry(row.carry),
    nowMs,
    fromMs,
    floorMs,
    endMs,
    epochs,
    rulesByRevision,
    segments,
    expected: found.expected.filter(({ atMs }) => atMs < endMs),
    triggers,
    predecessors: await readPredecessors(tx, row, triggers),
    skips,
    calendars: await readCalendarVersions(tx, parts, row.project_id, [...rulesByRevision.values()], fromMs),
  };
}

// If there are more triggers than the limit, the range ends at the last one that was read.
async function readTriggers(
  tx: Queryable,
  row: AuditJobRow,
  fromMs: number,
  endMs: number,
  limit: number,
): Promise<{ triggers: readonly AuditTriggerRow[]; endMs: number }> {
  if (endMs <= fromMs) return { triggers: [], endMs };
  const most = TRIGGERS_PER_FIRE_TIME * limit + EXTRA_TRIGGERS;
  const window = [toSqlTime(fromMs), toSqlTime(endMs - 1)];
  const triggers = await tx.query(auditTriggers, [row.project_id, row.uid, ...window, most]);
  const last = triggers[most - 1];
  if (last === undefined) return { triggers, endMs };
  return { triggers: triggers.filter(({ fire_time }) => fire_time < last.fire_time), endMs: last.fire_time };
}

async function readPredecessors(
  tx: Queryable,
  row: AuditJobRow,
  triggers: readonly AuditTriggerRow[],
): Promise<LedgerTriggerRow[]> {
  const outside = predecessorTimes(triggers);
  if (outside.length === 0) return [];
  const times = outside.slice(0, EXTRA_TRIGGERS).map((atMs) => toSqlTime(atMs));
  return tx.query(ledgerTriggersAt, [row.project_id, row.uid, times]);
}

/** Returns the fire times that triggers name as those before them, and at which none of them is. */
export function predecessorTimes(triggers: readonly AuditTriggerRow[]): number[] {
  const within = new Set(triggers.map(({ fire_time }) => fire_time));
  const named = triggers.flatMap(({ previous_fire_time: atMs }) => (atMs === null ? [] : [atMs]));
  return [...new Set(named)].filter((atMs) => !within.has(atMs));
}
