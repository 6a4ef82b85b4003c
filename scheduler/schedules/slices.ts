import { setImmediate } from "node:timers/promises";

/**
 * Work that can be interrupted. It yields often. Each yield evaluates to whether to stop; if so, the work returns what
 * it has so far.
 */
export type Sliced<T> = Generator<undefined, T, boolean>;

/** How long one slice blocks the event loop. */
const SLICE_MS = 10;
/** How much processor time one call may use in total. */
const BUDGET_MS = 2_000;

/** How to run the work; every field has a default. */
export interface SliceOptions {
  readonly sliceMs?: number;
  /** Processor time of all slices together; then the work is asked to stop. */
  readonly budgetMs?: number;
  /** When it aborts, because nobody waits for the answer any more, the work is asked to stop. */
  readonly signal?: AbortSignal | undefined;
  /** A monotonic clock in milliseconds; it decides when a slice ends. */
  readonly elapsed?: () => number;
  /**
   * The processor time of this process in milliseconds. The budget counts it, so a busy machine does not shorten the
   * work.
   */
  readonly computed?: () => number;
}

/**
 * Runs long work on the event loop that also runs the tick: in slices of about 10 ms, between which everything else can
 * run, and with at most 2 s of processor time in total. Only the processor time of the slices counts.
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

/**
 * Returns a function to await between two pieces of work of a loop. Once the pieces have taken about 10 ms, it lets
 * everything else on the event loop run first.
 */
export function createYield(): () => Promise<void> {
  let startMs = performance.now();
  return async () => {
    if (performance.now() - startMs < SLICE_MS) return;
    await setImmediate();
    startMs = performance.now();
  };
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
