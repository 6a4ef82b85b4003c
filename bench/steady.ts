import { startFloor } from "./floor.ts";
import {
  cpuOfDelivery,
  faultsOfRate,
  measureFloor,
  measureProduct,
  printRun,
  problemOfRate,
  type RateRun,
} from "./measure-rate.ts";
import { number, type Options } from "./options.ts";
import { startProduct } from "./product.ts";
import { startReceiver } from "./receiver.ts";
import { type Findings, median, medianCurve, percentile, withProblem } from "./report.ts";

export const title =
  "recurring jobs that are due one after the other, at a steady rate; the product and the floor alternate, medians of the runs";

export const options = { rate: 1_000, seconds: 10, runs: 5, warmups: 1, margin: 6 };

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
        const our = await measureProduct(product, receiver, rate);
        printRun(`turn ${turn + 1}, easycron`, our);
        const bottom = await measureFloor(floor, receiver, rate, true);
        printRun(`turn ${turn + 1}, floor`, bottom);
        ours.push(our);
        limit.push(bottom);
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
    ...withProblem(...kept.flatMap(({ name, runs }) => runs.map((run) => problemOfRate(name, run)))),
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
    ...faultsOfRate(runs),
    cpuMicrosPerDelivery: runs.some(({ cpuMicros }) => cpuMicros === null)
      ? null
      : of((run) => cpuOfDelivery(run) ?? Number.NaN),
    receiverDelayP99Ms: of(({ answer }) => answer.delayP99Ms),
  };
}
