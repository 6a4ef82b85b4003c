import { startFloor } from "./floor.ts";
import { measureFloor, measureProduct, type RateRun } from "./measure-rate.ts";
import { number, type Options } from "./options.ts";
import { startProduct } from "./product.ts";
import { startReceiver } from "./receiver.ts";
import { type Findings, faultsOf, median, medianCurve, percentile } from "./report.ts";

export const title =
  "recurring jobs that are due one after the other, at a steady rate; the product and the floor alternate, medians of the runs";

export const options = { rate: 1_000, seconds: 10, runs: 3, warmups: 1, margin: 6 };

/** Measures the product and the floor in turns. */
export async function run(given: Options): Promise<Findings> {
  const rate = {
    perSecond: number(given, "rate"),
    seconds: number(given, "seconds"),
    marginSeconds: number(given, "margin"),
  };
  const receiver = await startReceiver();
  const ours: RateRun[] = [];
  const limit: RateRun[] = [];
  const floor = await startFloor(receiver.url);
  try {
    const product = await startProduct();
    try {
      for (let turn = 0; turn < number(given, "runs") + number(given, "warmups"); turn++) {
        ours.push(await measureProduct(product, receiver, rate));
        limit.push(await measureFloor(floor, receiver, rate, true));
        await receiver.forget();
      }
    } finally {
      await product.stop();
    }
  } finally {
    floor.stop();
    receiver.stop();
  }
  const measured = { easycron: ours, floor: limit };
  const kept = Object.entries(measured).map(([name, runs]) => ({
    name,
    runs: runs.slice(number(given, "warmups")),
  }));
  const rows = kept.map(({ name, runs }) => toRow(name, runs));
  const [easycron, bottom] = rows;
  const above = (figure: "p50Ms" | "p99Ms") => (easycron?.[figure] ?? 0) - (bottom?.[figure] ?? 0);
  return {
    rows: [...rows, { name: "above floor", p50Ms: above("p50Ms"), p99Ms: above("p99Ms") }],
    curves: Object.fromEntries(
      kept.map(({ name, runs }) => [name, medianCurve(runs.map(({ answer }) => answer))]),
    ),
  };
}

function toRow(name: string, runs: readonly RateRun[]) {
  const of = (figure: (run: RateRun) => number) => median(runs.map(figure));
  return {
    name,
    p50Ms: of(({ answer }) => percentile(answer, 50)),
    p99Ms: of(({ answer }) => percentile(answer, 99)),
    maxMs: of(({ answer }) => percentile(answer, 100)),
    ...faultsOf(runs.map(({ whole, expectedInAll }) => ({ answer: whole, expected: expectedInAll }))),
    cpuMicrosPerDelivery: runs.some(({ cpuMicros }) => cpuMicros === null)
      ? null
      : of(({ cpuMicros, expected }) => (cpuMicros ?? 0) / expected),
  };
}
