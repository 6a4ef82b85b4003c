import { walkFireTimes } from "../../cron/walk.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import { lowerBound } from "./expected-times.ts";
import type { Pace } from "./pace.ts";
import type { AuditRecord } from "./record.ts";

/** The most steps of the slow walk from the beginning of the range. */
const MAX_LOOKS = 3_000;
/** The most steps of the slow walk in the last hour of the range. */
const MAX_LAST_HOUR_LOOKS = 500;
/** The most steps between two yields. */
const LOOKS_PER_YIELD = 120;
const HOUR_MS = 3_600_000;

/**
 * Computes fire times of the range a second time, by a slow walk through hours and minutes that shares no code with the
 * scheduler's own computation. It covers the beginning of the range, as far as the limit of steps allows: 50 hours for a
 * job that fires in each hour, two months for one that fires once a day. It also covers the last hour.
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

/** Walks on from `fromMs`, calls `onPart` for each part, and returns how far it got, exclusive. */
async function walkPart(
  record: AuditRecord,
  from: { readonly fromMs: number; readonly looks: number },
  pace: Pace,
  onPart: (part: Part) => void,
): Promise<number> {
  let { looks } = from;
  for (const { rules, afterMs, lastMs } of record.segments) {
    const { schedules, bounds } = rules.schedule.plan;
    const untilMs = Math.min(record.endMs, lastMs + 1);
    for (let fromMs = Math.max(from.fromMs, afterMs + 1); fromMs < untilMs; ) {
      if (looks <= 0) return fromMs;
      const walk = walkFireTimes(schedules, bounds ?? {}, { fromMs, untilMs, looks: LOOKS_PER_YIELD });
      onPart({ ...walk, fromMs });
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
    ...lost.map((atMs) => wrong(atMs, `${isoOrNone(atMs)} is a fire time, but the scheduler left it out.`)),
    ...added.map((atMs) =>
      wrong(atMs, `${isoOrNone(atMs)} is not a fire time, but the scheduler has it as one.`),
    ),
  ];
}

function wrong(atMs: number, detail: string): LedgerDifference {
  return { kind: "WRONG_FIRE_TIME", atMs, detail };
}
