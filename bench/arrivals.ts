import type { SinkAnswer, SinkQuestion } from "./receiver.ts";

/** A request that has arrived. Times are epoch milliseconds. */
export interface Arrival {
  readonly dueMs: number;
  readonly atMs: number;
  /** Its id has come before. */
  readonly isRepeated: boolean;
}

/** The state of the receiver's process at one moment. */
export interface Sample {
  readonly atMs: number;
  /** CPU time so far. */
  readonly cpuMicros: number;
  /** How much later than planned the sample was taken: the delay of the event loop. */
  readonly lateMs: number;
  /** By how much the receiver's clock and Date.now() had parted. */
  readonly clockMs: number;
}

/** The planned time from one sample to the next. */
export const SAMPLE_MS = 20;

/** Returns the values that 0, 1, … 100 percent of sorted values have at most, by the nearest-rank method. NaN: none. */
export function quantilesOf(sorted: ArrayLike<number>): number[] {
  return Array.from({ length: 101 }, (_, percent) => {
    return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
  });
}

/**
 * Returns the load of the receiver from `fromMs` to `toMs`. It uses the last sample before the window and the first one
 * after it, too. A stall gives one sample only, so a sample counts once for each planned sample that it replaces. All
 * figures are NaN where there are fewer than two samples.
 */
export function loadBetween(
  samples: readonly Sample[],
  fromMs: number,
  toMs: number,
): Pick<SinkAnswer, "cpuShare" | "delayP99Ms" | "clockMs"> {
  const begin = Math.max(
    0,
    samples.findLastIndex(({ atMs }) => atMs <= fromMs),
  );
  const after = samples.findIndex(({ atMs }, index) => index > begin && atMs >= toMs);
  const [first, ...during] = samples.slice(begin, after === -1 ? samples.length : after + 1);
  const last = during.at(-1);
  if (first === undefined || last === undefined)
    return { cpuShare: Number.NaN, delayP99Ms: Number.NaN, clockMs: Number.NaN };
  const weighed = during
    .map(({ lateMs }) => ({ lateMs, weight: Math.max(1, lateMs / SAMPLE_MS) }))
    .sort((a, b) => a.lateMs - b.lateMs);
  const rank = 0.99 * weighed.reduce((sum, { weight }) => sum + weight, 0);
  let reached = 0;
  const at99 = weighed.find(({ weight }) => {
    reached += weight;
    return reached >= rank;
  });
  return {
    cpuShare: (last.cpuMicros - first.cpuMicros) / (last.atMs - first.atMs) / 1_000,
    delayP99Ms: (at99 ?? weighed.at(-1))?.lateMs ?? Number.NaN,
    clockMs: during.reduce((most, { clockMs }) => Math.max(most, clockMs), 0),
  };
}

/** Returns what has arrived of a window of due times, with the load of the receiver until the last arrival. */
export function toAnswer(
  arrivals: readonly Arrival[],
  samples: readonly Sample[],
  { fromMs, toMs }: SinkQuestion,
): SinkAnswer {
  const due = arrivals.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
  const late = Float64Array.from(
    due.filter(({ isRepeated }) => !isRepeated),
    ({ atMs, dueMs }) => atMs - dueMs,
  ).sort();
  const firstTimes = due.filter(({ isRepeated }) => !isRepeated);
  const lastMs = firstTimes.reduce((last, { atMs }) => Math.max(last, atMs), fromMs);
  return {
    arrived: late.length,
    duplicates: due.length - late.length,
    early: late.findLastIndex((ms) => ms < 0) + 1,
    inWindow: arrivals.reduce((sum, { atMs }) => sum + Number(atMs >= fromMs && atMs < toMs), 0),
    quantilesMs: quantilesOf(late),
    firstMs: due.reduce((first, { atMs }) => Math.min(first, atMs), lastMs),
    lastMs,
    ...loadBetween(samples, fromMs, lastMs),
  };
}
