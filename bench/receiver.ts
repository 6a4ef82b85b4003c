import { ask, at, startProgram } from "./programs.ts";

/** A question to the receiver: what of the requests due from `fromMs` (inclusive) to `toMs` (exclusive) has arrived? */
export interface SinkQuestion {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The answer. Lateness is the time of arrival minus the due time, so it is negative for an early arrival. */
export interface SinkAnswer {
  /** How many different ids have arrived. */
  readonly arrived: number;
  /** How many requests had the id of an earlier one. */
  readonly duplicates: number;
  readonly early: number;
  /** How many requests came from `fromMs` to `toMs`, whenever they were due. */
  readonly inWindow: number;
  /** The lateness that 0, 1, 2, … 100 percent of the arrivals had at most, by the nearest-rank method. NaN: none. */
  readonly quantilesMs: readonly number[];
  /** The first and the last arrival, in epoch milliseconds. `fromMs` when nothing has arrived. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The receiver's CPU time from `fromMs` until the last arrival, in parts of a core. NaN: not known. */
  readonly cpuShare: number;
  /** The delay of the receiver's event loop in that time, in milliseconds. NaN: not known. */
  readonly delayP99Ms: number;
  /** By how much its clock and that of the senders parted between two samples, at most. NaN: not known. */
  readonly clockMs: number;
}

/** The receiver of all requests, in its own process. */
export interface Receiver {
  readonly port: number;
  /** The URL at which arrivals are recorded. */
  readonly url: string;
  /** Returns what has arrived of a window. `busyProblem` says whether its figures are of use. */
  measure(window: SinkQuestion): Promise<SinkAnswer>;
  /**
   * Waits until `count` different requests of a window have arrived, at most until GRACE_MS after
   * `endMs`, and measures the window. With `settles` it first waits SETTLE_MS for what comes twice.
   */
  await(window: SinkQuestion, count: number, endMs: number, settles?: boolean): Promise<SinkAnswer>;
  /** Forgets all arrivals, to free their memory, but not their ids: a delivery that comes again later is still double. */
  forget(): Promise<void>;
  stop(): void;
}

/** Options of `startReceiver`. */
export interface ReceiverOptions {
  /** The address to listen on. "0.0.0.0" listens on all of 127.0.0.0/8, and so has many origins. */
  readonly host?: string;
  /** CPU time that each request costs besides, in microseconds. */
  readonly burnMicros?: number;
}

const POLL_MS = 250;
/** What has not come so long after the end is lost, whoever sends it. */
export const GRACE_MS = 30_000;
/** A delivery that is made again comes when a dispatcher's lease has run out (5 s), so doubles are counted after it. */
export const SETTLE_MS = 7_000;

/** Starts the receiver. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const { host = "127.0.0.1", burnMicros = 0 } = options;
  const { program, first } = await startProgram<{ port: number }>("sink.ts", [host, String(burnMicros)]);
  let last: Promise<unknown> = Promise.resolve();
  const askInTurn = <T>(question: object): Promise<T> => {
    const answer = last.then(() => ask<T>(program, question));
    last = answer.catch(() => undefined);
    return answer;
  };
  const measure = (window: SinkQuestion) => askInTurn<SinkAnswer>(window);
  return {
    port: first.port,
    url: `http://127.0.0.1:${first.port}/`,
    measure,
    await: async (window, count, endMs, settles = false) => {
      for (;;) {
        const { arrived } = await askInTurn<{ arrived: number }>({ count: window });
        if (arrived >= count || Date.now() >= endMs + GRACE_MS) break;
        await at(Date.now() + POLL_MS);
      }
      if (settles) await at(Date.now() + SETTLE_MS);
      return measure(window);
    },
    forget: () => askInTurn({ forget: true }),
    stop: () => program.disconnect(),
  };
}

const MAX_CPU_SHARE = 0.9;
/**
 * The receiver's own delay is part of each lateness. It may be a fifth of the p99, but 2 ms where that is short, and at
 * most 100 ms: a receiver that is far too slow makes the p99 long itself.
 */
const MIN_DELAY_LIMIT_MS = 2;
const MAX_DELAY_LIMIT_MS = 100;
const MAX_DELAY_SHARE = 0.2;
const MAX_CLOCK_MS = 2;

/** Says why the receiver's figures are of no use: it was too busy, or its clock jumped. Undefined: they are of use. */
export function busyProblem({
  cpuShare,
  delayP99Ms,
  clockMs,
  quantilesMs,
}: Pick<SinkAnswer, "cpuShare" | "delayP99Ms" | "clockMs" | "quantilesMs">): string | undefined {
  if (![cpuShare, delayP99Ms, clockMs].every(Number.isFinite))
    return "The receiver has no sample of its own load, so nobody can say whether it was the bottleneck.";
  const problems: string[] = [];
  if (cpuShare > MAX_CPU_SHARE)
    problems.push(`used ${Math.round(cpuShare * 100)} % of a core (at most ${MAX_CPU_SHARE * 100} %)`);
  const p99Ms = quantilesMs[99] ?? Number.NaN;
  const shareMs = Number.isFinite(p99Ms) ? MAX_DELAY_SHARE * p99Ms : 0;
  const mostMs = Math.min(MAX_DELAY_LIMIT_MS, Math.max(MIN_DELAY_LIMIT_MS, shareMs));
  if (delayP99Ms > mostMs)
    problems.push(
      `had an event loop that was ${delayP99Ms.toFixed(1)} ms late (p99; at most ${mostMs.toFixed(1)} ms)`,
    );
  if (clockMs > MAX_CLOCK_MS) problems.push(`had a clock that jumped by ${clockMs.toFixed(1)} ms`);
  if (problems.length === 0) return undefined;
  return (
    `The receiver was too busy, so the figures say nothing about the sender: it ${problems.join(" and ")}. ` +
    "Measure a lower rate, or on a machine with nothing else to do."
  );
}
