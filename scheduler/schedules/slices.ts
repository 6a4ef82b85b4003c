import { setImmediate } from "node:timers/promises";

/**
 * Work that can be interrupted: it yields often, is told each time whether to stop, and then returns what it has so far.
 */
export type Sliced<T> = Generator<undefined, T, boolean>;

/** How long one slice keeps everything else waiting. */
const SLICE_MS = 10;
/** How much of the processor one call gets in all. */
const BUDGET_MS = 2_000;

/** How work is run; all has a default. */
export interface SliceOptions {
  readonly sliceMs?: number;
  /** All slices together; after that the work is told to stop. */
  readonly budgetMs?: number;
  /** Aborted when nobody wants the answer any more: the work is told to stop. */
  readonly signal?: AbortSignal | undefined;
  /** A clock for durations, in milliseconds: it ends a slice. */
  readonly elapsed?: () => number;
  /** How long the process has computed, in milliseconds: the budget is of that, so that a busy machine cuts nothing. */
  readonly computed?: () => number;
}

/**
 * Runs work on the loop that also ticks: slices of about 10 ms, between which everything else has its turn, and 2 s of
 * the processor in all. Only what the slices themselves take counts.
 */
export async function runInSlices<T>(work: Sliced<T>, options: SliceOptions = {}): Promise<T> {
  const { sliceMs = SLICE_MS, budgetMs = BUDGET_MS, signal } = options;
  const { elapsed = () => performance.now(), computed = processorMs } = options;
  for (let spentMs = 0; ; ) {
    const [startMs, computedMs] = [elapsed(), computed()];
    do {
      const step = work.next(spentMs >= budgetMs || signal?.aborted === true);
      if (step.done === true) return step.value;
    } while (elapsed() - startMs < sliceMs);
    spentMs += computed() - computedMs;
    await setImmediate();
  }
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
