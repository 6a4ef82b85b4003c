import type { SkipRow } from "../job/skips.sql.ts";
import { triggerId } from "../job/trigger-id.ts";
import { type Difference, iso } from "./difference.ts";
import type { Openness } from "./open.ts";
import type { Pace } from "./pace.ts";
import { wrongReason } from "./reasons.ts";
import type { AuditRecord } from "./record.ts";
import type { Recorded } from "./recorded.ts";
import { wrongTrigger } from "./trigger.ts";

/** Holds each fire time to one verdict, and that to what the job's policies, pauses and calendars give. */
export async function compareVerdicts(
  record: AuditRecord,
  recorded: readonly Recorded[],
  openness: Openness,
  pace: Pace,
): Promise<Difference[]> {
  const differences: Difference[] = [];
  const told = new Set<SkipRow>();
  for (const [index, each] of recorded.entries()) {
    if (pace.isDue()) await pace.rest();
    const found = judgeOne(record, recorded, index, openness);
    // One row of skips that is wrong is one difference, however many fire times it has.
    if (found === null || (each.skip !== undefined && told.has(each.skip))) continue;
    if (each.skip !== undefined) told.add(each.skip);
    differences.push({ ...found, atMs: each.atMs });
  }
  return differences;
}

function judgeOne(
  record: AuditRecord,
  recorded: readonly Recorded[],
  index: number,
  openness: Openness,
): Omit<Difference, "atMs"> | null {
  const each = recorded[index];
  if (each === undefined) return null;
  const { atMs, chained, backfilled, skip, stretch, open } = each;
  const verdicts = chained.map(({ id }) => `trigger ${id}`);
  if (skip !== undefined) verdicts.push(`${skip.verdict}, ${skip.reason}`);
  if (stretch.paused) verdicts.push("SKIPPED, PAUSED");
  if (verdicts.length > 1) return { kind: "TWO_VERDICTS", detail: verdicts.join("; ") };
  const [trigger] = chained;
  if (trigger !== undefined) return wrongTrigger(record, trigger, stretch);
  if (skip !== undefined) return wrongReason(record, recorded, index, skip);
  if (stretch.paused) return null;
  if (open && !openness.isOverdue(atMs)) return null;
  if (open)
    return { kind: "UNACCOUNTED", detail: `It is not decided yet, and nobody looks: ${wokenAt(record)}.` };
  if (backfilled !== undefined) {
    return { kind: "WRONG_TRIGGER", detail: `${backfilled.id} is of a BACKFILL, and nothing was skipped.` };
  }
  return { kind: "UNACCOUNTED", detail: "It has neither a trigger nor a skip." };
}

function wokenAt({ row }: AuditRecord): string {
  return row.wake_time === null ? "the job has no wake time" : `its wake time was ${iso(row.wake_time)}`;
}

/** Triggers that are no fire time's, and those under an id that is not their fire time's. */
export async function compareTriggers(record: AuditRecord, pace: Pace): Promise<Difference[]> {
  const differences: Difference[] = [];
  const times = new Set(record.expected.map(({ atMs }) => atMs));
  for (const { fire_time: atMs, id, kind, seq } of record.triggers) {
    if (pace.isDue()) await pace.rest();
    const derived = triggerId(record.row.uid, atMs);
    if (id !== derived)
      differences.push({ kind: "WRONG_TRIGGER", atMs, detail: `${id} should be ${derived}.` });
    if (kind !== "BACKFILL" && !times.has(atMs)) {
      differences.push({ kind: "UNEXPECTED_TRIGGER", atMs, detail: `${id} is at no fire time of the job.` });
    }
    if (kind === "BACKFILL" && seq !== 0) {
      const detail = `${id} is of a BACKFILL, and has place ${seq} in the chain.`;
      differences.push({ kind: "WRONG_TRIGGER", atMs, detail });
    }
  }
  return differences;
}
