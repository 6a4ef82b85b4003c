import { walkFireTimes } from "../../cron/walk.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import { lowerBound } from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import type { AuditRecord } from "./record.ts";

/** How often the slow walk may look from the beginning of a range on, and in its last hour. */
const MAX_LOOKS = 3_000;
const MAX_LAST_HOUR_LOOKS = 500;
/** How often between two rests. */
const LOOKS_PER_YIELD = 120;
const HOUR_MS = 3_600_000;

/**
 * Computes fire times of the range a second time, by a walk through hours and minutes that shares no code with what
 * the scheduler computes them by: from the beginning on as far as it may look (50 hours of a job that fires in each
 * hour, two months of one that fires once a day), and the last hour.
 */
export async function compareWalk(record: AuditRecord, pace: Pace): Promise<LedgerDifference[]> {
  const { fromMs, endMs, expected } = record;
  const times = expected.map(({ atMs }) => atMs);
  const differences: LedgerDifference[] = [];
  const walkedMs = await walkPart(record, { fromMs, looks: MAX_LOOKS }, pace, (part) =>
    differences.push(...compare(times, part)),
  );
  await walkPart(
    record,
    { fromMs: Math.max(walkedMs, endMs - HOUR_MS), looks: MAX_LAST_HOUR_LOOKS },
    pace,
    (part) => differences.push(...compare(times, part)),
  );
  return differences;
}

interface Part {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly timesMs: readonly number[];
}

/** Walks from `fromMs` on, tells of each part, and returns up to where it came. */
async function walkPart(
  record: AuditRecord,
  from: { readonly fromMs: number; readonly looks: number },
  pace: Pace,
  tell: (part: Part) => void,
): Promise<number> {
  let { looks } = from;
  for (const { rules, afterMs, lastMs } of record.segments) {
    const { schedules, bounds } = rules.schedule.plan;
    const untilMs = Math.min(record.endMs, lastMs + 1);
    for (let fromMs = Math.max(from.fromMs, afterMs + 1); fromMs < untilMs; ) {
      if (looks <= 0) return fromMs;
      const walk = walkFireTimes(schedules, bounds ?? {}, { fromMs, untilMs, looks: LOOKS_PER_YIELD });
      tell({ ...walk, fromMs });
      looks -= walk.looks;
      fromMs = walk.untilMs;
      await pace.yield();
    }
  }
  return record.endMs;
}

function compare(times: readonly number[], { fromMs, untilMs, timesMs }: Part): LedgerDifference[] {
  const computed = times.slice(lowerBound(times, fromMs), lowerBound(times, untilMs));
  const [known, walked] = [new Set(computed), new Set(timesMs)];
  const lost = timesMs.filter((atMs) => !known.has(atMs));
  const added = computed.filter((atMs) => !walked.has(atMs));
  return [
    ...lost.map((atMs) => differ(atMs, `${isoOrNone(atMs)} is a fire time, and was passed over.`)),
    ...added.map((atMs) => differ(atMs, `${isoOrNone(atMs)} is no fire time, and was taken for one.`)),
  ];
}

function differ(atMs: number, detail: string): LedgerDifference {
  return { kind: "WRONG_FIRE_TIME", atMs, detail };
}
