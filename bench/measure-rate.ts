import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Floor } from "./floor.ts";
import { createJobs, every, webhookJob } from "./jobs.ts";
import { type ByPart, difference, mapParts, type Product } from "./product.ts";
import { at } from "./programs.ts";
import type { Receiver, SinkAnswer } from "./receiver.ts";
import { faultsOf, percentile, problemOf } from "./report.ts";

/** A rate for some seconds. */
export interface Rate {
  /** Deliveries a second, due at equal distances (whole milliseconds). */
  readonly perSecond: number;
  /** The window that is measured. */
  readonly seconds: number;
  /** The jobs fire this long before and after the window, so that it shows a steady state. */
  readonly marginSeconds: number;
}

/** What a rate came to. */
export interface RateRun {
  /** The deliveries due in the window. */
  readonly answer: SinkAnswer;
  /** All deliveries, those before and after the window too. */
  readonly whole: SinkAnswer;
  readonly expected: number;
  /** How many were expected in all. */
  readonly expectedInAll: number;
  /** Null: not known. */
  readonly cpuMicros: number | null;
}

/** What a rate of the product came to. */
export interface ProductRun extends RateRun {
  /** CPU time of each part in the window, in microseconds. */
  readonly cpuByPart: ByPart<number>;
  /** Memory of each part at its end, in bytes. */
  readonly memoryByPart: ByPart<number | null>;
}

/** The time from the creation of the last job until it is due: the scheduler hands triggers over 5 to 8 s ahead. */
const AHEAD_MS = 6_000;
/** The slowest creation that the time-table allows: a time for the first calls, and a rate. */
const FIRST_CALLS_MS = 4_000;
const CREATED_PER_SECOND = 1_500;
let series = 0;

/** Creates jobs that fire each second, and measures them. Throws when creating them takes too long. */
export async function measureProduct(
  product: Product,
  receiver: Receiver,
  { perSecond, seconds, marginSeconds }: Rate,
): Promise<ProductRun> {
  const name = `rate-${series++}`;
  const leadMs = AHEAD_MS + FIRST_CALLS_MS + (perSecond / CREATED_PER_SECOND) * 1_000;
  const startMs = Math.ceil((Date.now() + leadMs) / 1_000) * 1_000;
  const fromMs = startMs + marginSeconds * 1_000;
  const toMs = fromMs + seconds * 1_000;
  const endMs = toMs + marginSeconds * 1_000;
  const endTime = timestampFromMs(endMs - 1);
  const createdIn = await createJobs(product, perSecond, (index) => {
    const firstMs = startMs + Math.floor((index * 1_000) / perSecond);
    return webhookJob(receiver.url, { name: `${name}-${index}`, ...every(1_000, firstMs), endTime });
  });
  if (Date.now() > startMs - 5_000)
    throw new Error(
      `Creating ${perSecond} jobs took ${createdIn.seconds.toFixed(1)} s; the most that the time-table allows is ` +
        `${((leadMs - 5_000) / 1_000).toFixed(1)} s. This machine is too busy or too slow for this rate.`,
    );
  await at(fromMs);
  const before = product.cpuByPart();
  await at(toMs);
  const cpuByPart = difference(before, product.cpuByPart());
  const memoryByPart = product.memoryByPart();
  await at(endMs);
  const expectedInAll = (seconds + 2 * marginSeconds) * perSecond;
  const whole = await receiver.await({ fromMs: startMs, toMs: endMs }, expectedInAll, endMs, true);
  const answer = await receiver.measure({ fromMs, toMs });
  const cpuMicros = Object.values(cpuByPart).reduce((sum, part) => sum + part, 0);
  return {
    answer,
    whole,
    expected: seconds * perSecond,
    expectedInAll,
    cpuMicros,
    cpuByPart,
    memoryByPart,
  };
}

/** Sends the same with the floor. Its CPU time is known only when it does not spin. */
export async function measureFloor(
  floor: Floor,
  receiver: Receiver,
  { perSecond, seconds }: Rate,
  spins: boolean,
): Promise<RateRun> {
  const startMs = Math.ceil((Date.now() + 500) / 1_000) * 1_000;
  const fromMs = startMs + 1_000;
  const toMs = fromMs + seconds * 1_000;
  const total = (seconds + 1) * perSecond;
  const dueMs = Array.from(
    { length: total },
    (_, index) => startMs + Math.floor((index * 1_000) / perSecond),
  );
  const { cpuMicros } = await floor.run({ dueMs, count: 1, spins });
  const whole = await receiver.await({ fromMs: startMs, toMs }, total, toMs);
  return {
    answer: await receiver.measure({ fromMs, toMs }),
    whole,
    expected: seconds * perSecond,
    expectedInAll: total,
    cpuMicros: spins ? null : (cpuMicros * seconds) / (seconds + 1),
  };
}

/** Returns the CPU time of a delivery that arrived in the window, in microseconds. Null: not known. */
export function cpuOfDelivery({ cpuMicros, answer }: RateRun): number | null {
  return cpuMicros === null || answer.inWindow === 0 ? null : cpuMicros / answer.inWindow;
}

/** Returns what was lost, double or early, those before and after the window too. */
export function faultsOfRate(runs: readonly RateRun[]) {
  return faultsOf(runs.map(({ whole, expectedInAll }) => ({ answer: whole, expected: expectedInAll })));
}

/** Says what is wrong with a run: the receiver in the window, or any delivery. Undefined: nothing. */
export function problemOfRate(name: string, { answer, whole, expectedInAll }: RateRun): string | undefined {
  const { arrived, duplicates, early } = whole;
  return problemOf([{ name, expected: expectedInAll, answer: { ...answer, arrived, duplicates, early } }]);
}

/** Prints the outcome of one run, so that a benchmark that is stopped shows what it has. */
export function printRun(name: string, run: RateRun): void {
  const { lost, duplicates, early } = faultsOfRate([run]);
  const [p50, p99] = [50, 99].map((percent) => percentile(run.answer, percent).toFixed(1));
  console.log(
    `${name}: p50 ${p50} ms, p99 ${p99} ms, ${cpuOfDelivery(run)?.toFixed(0) ?? "-"} µs a delivery; ` +
      `lost ${lost}, double ${duplicates}, early ${early}`,
  );
}

/** Returns CPU time per delivery and memory of a run as columns of a table. */
export function usageColumns({ cpuByPart, memoryByPart, answer }: ProductRun): Record<string, number | null> {
  const micros = mapParts(cpuByPart, (cpu) => cpu / answer.inWindow);
  const mebibytes = mapParts(memoryByPart, (bytes) => (bytes === null ? null : bytes / 2 ** 20));
  const known = Object.values(mebibytes).filter((size) => size !== null);
  return {
    schedulerMicros: micros.scheduler,
    dispatcherMicros: micros.dispatcher,
    postgresMicros: micros.postgres,
    gatewayMicros: micros.gateway,
    otherMicros: micros.plugins + micros.supervisor,
    servicesMiB: sum(known) - (mebibytes.postgres ?? 0),
    postgresMiB: mebibytes.postgres,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
