import { ask, at, startProgram } from "./programs.ts";

/** A question to the sink: what of the requests due from `fromMs` (inclusive) to `toMs` (exclusive) has arrived? */
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
  /** The lateness that 0, 1, 2, … 100 percent of the arrivals had at most, by the nearest-rank method. NaN: none. */
  readonly quantilesMs: readonly number[];
  /** The first and the last arrival, in epoch milliseconds. `fromMs` when nothing has arrived. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The sink's CPU time from `fromMs` until the last arrival, in parts of a core. */
  readonly cpuShare: number;
  /** The delay of the sink's event loop in that time, in milliseconds. */
  readonly delayP99Ms: number;
}

/** The receiver of all requests, in its own process. */
export interface Receiver {
  readonly port: number;
  /** The URL at which arrivals are recorded. */
  readonly url: string;
  /** Returns what has arrived of a window. Throws when the sink was too busy for its figures to be of use. */
  measure(window: SinkQuestion): Promise<SinkAnswer>;
  /** Waits until `count` requests of a window have arrived, at most until `untilMs`, and measures the window. */
  await(window: SinkQuestion, count: number, untilMs: number): Promise<SinkAnswer>;
  /** Forgets all arrivals, to free their memory. */
  forget(): Promise<void>;
  stop(): void;
}

/** Options of `startReceiver`. */
export interface ReceiverOptions {
  /** The address to listen on. "0.0.0.0" listens on all of 127.0.0.0/8, and so has many origins. */
  readonly host?: string;
  /** CPU time that each request costs besides, in microseconds. */
  readonly burnMicros?: number;
  /** False: `measure` returns the answer of a sink that was too busy, too. Default true. */
  readonly isStrict?: boolean;
}

const POLL_MS = 250;

/** Starts the receiver. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const { host = "127.0.0.1", burnMicros = 0, isStrict = true } = options;
  const { program, first } = await startProgram<{ port: number }>("sink.ts", [host, String(burnMicros)]);
  let last: Promise<unknown> = Promise.resolve();
  const askInTurn = <T>(question: object): Promise<T> => {
    const answer = last.then(() => ask<T>(program, question));
    last = answer.catch(() => undefined);
    return answer;
  };
  const measure = async (window: SinkQuestion) => {
    const answer = await askInTurn<SinkAnswer>(window);
    const problem = isStrict ? busyProblem(answer) : undefined;
    if (problem !== undefined) throw new Error(problem);
    return answer;
  };
  return {
    port: first.port,
    url: `http://127.0.0.1:${first.port}/`,
    measure,
    await: async (window, count, untilMs) => {
      for (;;) {
        const { arrived } = await askInTurn<SinkAnswer>(window);
        if (arrived >= count || Date.now() >= untilMs) return measure(window);
        await at(Date.now() + POLL_MS);
      }
    },
    forget: () => askInTurn({ forget: true }),
    stop: () => program.disconnect(),
  };
}

const MAX_CPU_SHARE = 0.9;
/** A sink that waits for a free core records arrivals late. With less than this, lateness is still told apart. */
const MAX_DELAY_MS = 100;

/** Says why the sink's figures are of no use: it was too busy. Undefined: they are. */
export function busyProblem({ cpuShare, delayP99Ms }: SinkAnswer): string | undefined {
  const problems: string[] = [];
  if (cpuShare > MAX_CPU_SHARE)
    problems.push(`used ${Math.round(cpuShare * 100)} % of a core (at most ${MAX_CPU_SHARE * 100} %)`);
  if (delayP99Ms > MAX_DELAY_MS)
    problems.push(
      `had an event loop that was ${Math.round(delayP99Ms)} ms late (p99; at most ${MAX_DELAY_MS} ms)`,
    );
  if (problems.length === 0) return undefined;
  return (
    `The receiver was the bottleneck, so the figures say nothing about the sender: it ${problems.join(" and ")}. ` +
    "Measure a lower rate, or on a machine with nothing else to do."
  );
}
