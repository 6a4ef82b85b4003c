import { cpuOfDelivery, faultsOfRate, measureProduct, problemOfRate, type Rate } from "./measure-rate.ts";
import { number, numbers, type Options } from "./options.ts";
import { type ByPart, difference, mapParts, type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { type Findings, percentile, type Row, withProblem } from "./report.ts";
import { createStoredJobs, settleDatabase } from "./stored-jobs.ts";

export const title =
  "stored jobs of which none is due: CPU time and memory of each process; then the cost of a delivery with so many jobs";

export const options = { stored: [0, 10_000, 100_000, 1_000_000], seconds: 60, rate: 2_000, ratefor: 10 };

/** After a load the services still do what it has caused. */
const SETTLE_SECONDS = 10;
const WARM_UP: Rate = { perSecond: 500, seconds: 3, marginSeconds: 3 };

/** A time in which nothing is due. */
export interface Idle {
  /** How many jobs the product has. */
  readonly stored: number;
  /** How long the product has before it is measured. */
  readonly settleSeconds: number;
  readonly seconds: number;
}

/** Measures one product with more and more stored jobs. */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver();
  try {
    const product = await startProduct();
    try {
      if (number(given, "rate") > 0) await measureProduct(product, receiver, WARM_UP);
      return await measureSizes(product, receiver, given);
    } finally {
      await product.stop();
    }
  } finally {
    receiver.stop();
  }
}

async function measureSizes(product: Product, receiver: Receiver, given: Options): Promise<Findings> {
  const problems: (string | undefined)[] = [];
  const rows: Row[] = [];
  const emptyBytes = await settleDatabase(product);
  let stored = 0;
  let jobBytes = 0;
  let before = emptyBytes;
  for (const size of numbers(given, "stored")) {
    const { seconds } = await createStoredJobs(product, stored, size);
    const bytes = await settleDatabase(product);
    jobBytes += bytes - before;
    const row = await measureIdle(product, {
      stored: size,
      settleSeconds: SETTLE_SECONDS,
      seconds: number(given, "seconds"),
    });
    const perSecond = number(given, "rate");
    const cost: Awaited<ReturnType<typeof measureCost>> =
      perSecond === 0
        ? { columns: {} }
        : await measureCost(product, receiver, perSecond, number(given, "ratefor"));
    if (cost.problem !== undefined) problems.push(`With ${size} stored jobs, ${cost.problem}`);
    const createdPerSecond = size === stored ? null : (size - stored) / seconds;
    rows.push({
      ...row,
      bytesPerJob: size === 0 ? null : jobBytes / size,
      createdPerSecond,
      ...cost.columns,
    });
    console.log(JSON.stringify(rows.at(-1)));
    stored = size;
    before = await settleDatabase(product);
  }
  return { rows, ...withProblem(...problems) };
}

/** Measures the product while nothing is due. */
export async function measureIdle(product: Product, { stored, settleSeconds, seconds }: Idle): Promise<Row> {
  await at(Date.now() + settleSeconds * 1_000);
  const before = product.cpuByPart();
  const startedMs = performance.now();
  await at(Date.now() + seconds * 1_000);
  const used = difference(before, product.cpuByPart());
  const percent = mapParts(used, (micros) => micros / (performance.now() - startedMs) / 10);
  const mebibytes = mapParts(product.memoryByPart(), (bytes) => (bytes === null ? null : bytes / 2 ** 20));
  return {
    name: "easycron",
    stored,
    cpuPercent: sum(Object.values(percent)),
    ...columns(percent, "CpuPercent"),
    servicesMiB: sum(Object.values(mebibytes)) - (mebibytes.postgres ?? 0),
    ...columns(mebibytes, "MiB"),
  };
}

async function measureCost(
  product: Product,
  receiver: Receiver,
  perSecond: number,
  seconds: number,
): Promise<{ readonly columns: Partial<Row>; readonly problem?: string | undefined }> {
  const run = await measureProduct(product, receiver, { perSecond, seconds, marginSeconds: 6 });
  await receiver.forget();
  return {
    columns: {
      p99Ms: percentile(run.answer, 99),
      ...faultsOfRate([run]),
      cpuMicrosPerDelivery: cpuOfDelivery(run),
      receiverDelayP99Ms: run.answer.delayP99Ms,
    },
    problem: problemOfRate("easycron", run),
  };
}

function columns<T>({ scheduler, dispatcher, gateway, plugins, postgres }: ByPart<T>, unit: string) {
  const parts = { scheduler, dispatcher, gateway, plugins, postgres };
  return Object.fromEntries(Object.entries(parts).map(([part, figure]) => [`${part}${unit}`, figure]));
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}
