import type { SkipRow } from "../job/skips.sql.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import { lowerBound } from "./expected-times.ts";
import type { AuditRecord } from "./record.ts";

/** The most fire times before the range that are counted for a row of skips that began there. */
const MAX_COUNTED_BEFORE = 20_000;

/**
 * Compares each row of skips with the fire times that it covers: the first, the last, and their number. A row that
 * extends beyond the end of the range is left to the audit of the next range. A row that began before the range is
 * counted from its beginning.
 */
export function compareSkips(record: AuditRecord): LedgerDifference[] {
  const { expected, skips, fromMs, endMs } = record;
  const times = expected.map(({ atMs }) => atMs);
  const differences: LedgerDifference[] = [];
  for (const [index, skip] of skips.entries()) {
    const next = skips[index + 1];
    if (next !== undefined && next.first_fire_time <= skip.last_fire_time) {
      const detail = `The skips for ${skip.reason}, up to ${isoOrNone(skip.last_fire_time)}, overlap those for ${next.reason}.`;
      differences.push({ kind: "TWO_VERDICTS", atMs: next.first_fire_time, detail });
    }
    if (skip.last_fire_time >= endMs) continue;
    const before = skip.first_fire_time < fromMs ? timesBefore(record, skip.first_fire_time) : [];
    if (before === null) continue;
    const within = before.length === 0 ? times : [...before, ...times];
    const problem = problemOf(skip, within);
    if (problem !== null)
      differences.push({ kind: "UNEXPECTED_SKIP", atMs: skip.first_fire_time, detail: problem });
  }
  return differences;
}

function problemOf(skip: SkipRow, times: readonly number[]): string | null {
  const { first_fire_time: firstMs, last_fire_time: lastMs, fire_count: count, reason } = skip;
  const [start, end] = [lowerBound(times, firstMs), lowerBound(times, lastMs + 1)];
  if (end - start === count && times[start] === firstMs && times[end - 1] === lastMs) return null;
  return `The skips for ${reason}, up to ${isoOrNone(lastMs)}, count ${count} fire times; the schedule has ${end - start}.`;
}

// Returns null when there are too many, or when their epochs were not read.
function timesBefore({ segments, fromMs }: AuditRecord, firstMs: number): number[] | null {
  const times: number[] = [];
  if ((segments[0]?.afterMs ?? fromMs) >= firstMs) return null;
  for (const { rules, afterMs, lastMs } of segments) {
    const untilMs = Math.min(lastMs, fromMs - 1);
    let atMs = rules.schedule.nextAfter(Math.max(afterMs, firstMs - 1));
    for (; atMs !== null && atMs <= untilMs; atMs = rules.schedule.nextAfter(atMs)) {
      if (times.length === MAX_COUNTED_BEFORE) return null;
      times.push(atMs);
    }
  }
  return times;
}
