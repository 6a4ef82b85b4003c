import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { readCarry } from "../job/carry.ts";
import type { Parts } from "../parts.ts";
import {
  type AuditEpochRow,
  type AuditJobRow,
  auditEpochsOf,
  auditJobsByUids,
  auditRevisionsOf,
  auditSkipsOf,
  auditTriggersAt,
  auditTriggersOf,
} from "./audits.sql.ts";
import { readCalendarVersions } from "./calendars.ts";
import { expectedFireTimes, toAuditSegments } from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import { type AuditRecord, predecessorTimes } from "./record.ts";
import { toRevisionRules, wantedRevisions } from "./revision-rules.ts";

/** A job to audit: its ledger has been compared up to `fromMs`, in epoch milliseconds. */
export interface AuditedJob {
  readonly uid: string;
  readonly project_id: string;
  readonly fromMs: number;
}

/** A job of which more of anything is to be read is audited alone. */
const MOST_ROWS = 100;

/** What has been read of one job, and what is computed from it. */
type PartialRecord = Omit<AuditRecord, "triggers" | "predecessors" | "skips">;

/**
 * Reads the ledgers of several jobs up to `untilMs`, exclusive, or up to now, as `readAuditRecord` does for one: the
 * statements are as many as for one job, and one more for each job with calendars. A job with more than 100 fire times,
 * triggers, skips or epochs in its range, or whose revisions do not compile, is left out, and so is one that does not
 * exist. The caller passes one snapshot.
 */
export async function readAuditRecords(
  tx: Queryable,
  parts: Pick<Parts, "zoneData" | "clock">,
  jobs: readonly AuditedJob[],
  untilMs: number,
  pace: Pace,
): Promise<AuditRecord[]> {
  const rows = await tx.query(auditJobsByUids, [
    jobs.map(({ project_id: project }) => project),
    jobs.map(({ uid }) => uid),
  ]);
  const nowMs = parts.clock.now();
  const floors = new Map(rows.map(({ uid, floor_time }) => [uid, floor_time ?? Number.NEGATIVE_INFINITY]));
  const froms = new Map(jobs.map(({ uid, fromMs }) => [uid, Math.max(fromMs, floors.get(uid) ?? fromMs)]));
  const started = await readPartialRecords(tx, parts, rows, { froms, floors, nowMs, untilMs }, pace);
  const ranges = {
    uids: started.map(({ row }) => row.uid),
    projects: started.map(({ row }) => row.project_id),
    from: started.map(({ fromMs }) => toSqlTime(fromMs)),
    to: started.map(({ fromMs, endMs }) => toSqlTime(Math.max(fromMs, endMs - 1))),
  };
  const { uids, projects, from, to } = ranges;
  const triggers = byJob(await tx.query(auditTriggersOf, [projects, uids, from, to, MOST_ROWS]));
  const skips = byJob(await tx.query(auditSkipsOf, [uids, from, to, MOST_ROWS]));
  const predecessors = await readPredecessors(tx, started, triggers);
  return started.flatMap((record) => {
    const { uid } = record.row;
    // An empty range has no triggers.
    const own = record.endMs > record.fromMs ? (triggers.get(uid) ?? []) : [];
    const skipped = skips.get(uid) ?? [];
    if (own.length > MOST_ROWS || skipped.length > MOST_ROWS) return [];
    return [{ ...record, triggers: own, skips: skipped, predecessors: predecessors.get(uid) ?? [] }];
  });
}

interface Times {
  /** By job, the beginning of its range. */
  readonly froms: ReadonlyMap<string, number>;
  /** By job, the floor of its project. */
  readonly floors: ReadonlyMap<string, number>;
  readonly nowMs: number;
  /** The end of all ranges. */
  readonly untilMs: number;
}

async function readPartialRecords(
  tx: Queryable,
  parts: Pick<Parts, "zoneData">,
  rows: readonly AuditJobRow[],
  { froms, floors, nowMs, untilMs }: Times,
  pace: Pace,
): Promise<PartialRecord[]> {
  const fromOf = ({ uid }: AuditJobRow) => froms.get(uid) ?? nowMs;
  const epochsValues = [rows.map(({ uid }) => uid), rows.map((row) => toSqlTime(fromOf(row))), MOST_ROWS];
  const epochsBy = byJob(await tx.query(auditEpochsOf, epochsValues));
  const wanted = rows.flatMap((row) => {
    const fromMs = fromOf(row);
    const range = { fromMs, untilMs: Math.max(fromMs, Math.min(untilMs, nowMs)) };
    const epochs = epochsBy.get(row.uid) ?? [];
    return epochs.length > MOST_ROWS
      ? []
      : [{ row, range, epochs, revisions: wantedRevisions(epochs, range) }];
  });
  const pairs = wanted.flatMap(({ row, revisions }) =>
    revisions.map((revision) => ({ uid: row.uid, revision })),
  );
  const specs = byJob(
    await tx.query(auditRevisionsOf, [pairs.map(({ uid }) => uid), pairs.map(({ revision }) => revision)]),
  );
  const records: PartialRecord[] = [];
  for (const { row, range, epochs } of wanted) {
    const floorMs = floors.get(row.uid) ?? Number.NEGATIVE_INFINITY;
    const read = { row, range, floorMs, epochs, nowMs, revisions: specs.get(row.uid) ?? [] };
    const record = await tryRecord(tx, parts, read, pace);
    if (record !== undefined) records.push(record);
  }
  return records;
}

interface ReadJob {
  readonly row: AuditJobRow;
  readonly range: { readonly fromMs: number; readonly untilMs: number };
  readonly floorMs: number;
  readonly epochs: readonly AuditEpochRow[];
  readonly nowMs: number;
  readonly revisions: Parameters<typeof toRevisionRules>[2];
}

/** Returns undefined for a job that is to be audited alone. */
async function tryRecord(
  tx: Queryable,
  parts: Pick<Parts, "zoneData">,
  { row, range, floorMs, epochs, nowMs, revisions }: ReadJob,
  pace: Pace,
): Promise<PartialRecord | undefined> {
  const computed = await orUndefined(async () => {
    const carry = readCarry(row.carry);
    const rulesByRevision = toRevisionRules(parts, row.uid, revisions);
    const segments = toAuditSegments(row, epochs, rulesByRevision, range.untilMs);
    const { expected, endMs } = await expectedFireTimes(segments, { ...range, limit: MOST_ROWS }, pace);
    return { carry, rulesByRevision, segments, expected, endMs };
  });
  if (computed === undefined || computed.endMs < range.untilMs) return undefined;
  const rules = [...computed.rulesByRevision.values()];
  const calendars = await readCalendarVersions(tx, parts, row.project_id, rules, range.fromMs);
  return { row, nowMs, fromMs: range.fromMs, floorMs, epochs, ...computed, calendars };
}

// The audit of the job alone meets the same error, and reports it.
async function orUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}

async function readPredecessors(
  tx: Queryable,
  records: readonly PartialRecord[],
  triggers: ReadonlyMap<string, Parameters<typeof predecessorTimes>[0]>,
): Promise<Map<string, AuditRecord["predecessors"]>> {
  const wanted = records.flatMap(({ row }) =>
    predecessorTimes(triggers.get(row.uid) ?? []).map((atMs) => ({ row, atMs })),
  );
  if (wanted.length === 0) return new Map();
  const found = await tx.query(auditTriggersAt, [
    wanted.map(({ row }) => row.project_id),
    wanted.map(({ row }) => row.uid),
    wanted.map(({ atMs }) => toSqlTime(atMs)),
  ]);
  return byJob(found);
}

function byJob<T extends { readonly job_uid: string }>(rows: readonly T[]): Map<string, T[]> {
  return Map.groupBy(rows, ({ job_uid: uid }) => uid);
}
