import { type Floor, startFloor } from "./floor.ts";
import { measureFloor, measureProduct, type Rate, type RateRun, usageColumns } from "./measure-rate.ts";
import { number, numbers, type Options } from "./options.ts";
import { type Peer, peerLeadMs, startPeers } from "./peers.ts";
import { type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { busyProblem, type Receiver, startReceiver } from "./receiver.ts";
import { type Findings, faultsOf, percentile, type Row } from "./report.ts";
import { createStoredJobs } from "./stored-jobs.ts";

export const title =
  "the highest rate of recurring jobs with a p99 lateness under 1 s; the product, the floor and the peers climb together";

export const options = {
  ladder: [1_000, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 16_000],
  seconds: 10,
  margin: 6,
  stored: 0,
};

const MAX_P99_MS = 1_000;
/** The code of a new process is compiled while it works, so its first seconds say nothing. */
const WARM_UP: Rate = { perSecond: 1_000, seconds: 3, marginSeconds: 3 };

interface Contender {
  readonly name: string;
  /** Undefined: it cannot take part at this rate. */
  readonly measure: (
    rate: Rate,
  ) => Promise<{ readonly run: RateRun; readonly columns?: Partial<Row> } | undefined>;
}

/**
 * Climbs the ladder. A contender leaves it at the first rate at which it loses, doubles or is early with a delivery,
 * or has a p99 of 1 s or more. The findings have a problem when the receiver was the bottleneck at such a rate.
 */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver({ isStrict: false });
  const closers: (() => unknown)[] = [receiver.stop];
  try {
    const peers = await startPeers(receiver.url);
    closers.push(peers.stop);
    const floor = await startFloor(receiver.url);
    closers.push(floor.stop);
    const product = await startProduct();
    closers.push(product.stop);
    await createStoredJobs(product, 0, number(given, "stored"));
    await measureProduct(product, receiver, WARM_UP);
    return await climb(given, contendersOf({ product, floor, peers: peers.all, receiver }), receiver);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function contendersOf(parts: {
  product: Product;
  floor: Floor;
  peers: readonly Peer[];
  receiver: Receiver;
}): Contender[] {
  const { product, floor, peers, receiver } = parts;
  return [
    {
      name: "easycron",
      measure: async (rate) => {
        const run = await measureProduct(product, receiver, rate);
        return { run, columns: usageColumns(run) };
      },
    },
    { name: "floor", measure: async (rate) => ({ run: await measureFloor(floor, receiver, rate, false) }) },
    ...peers
      .filter(({ isRecurring }) => !isRecurring)
      .map((peer) => ({
        name: peer.name,
        measure: async (rate: Rate) => {
          try {
            return { run: await measurePeer(peer, receiver, rate) };
          } catch (error) {
            // Hours of a ladder are not given up for one peer.
            console.log(`${peer.name} leaves the ladder: ${error instanceof Error ? error.message : error}`);
            return undefined;
          }
        },
      })),
  ];
}

async function climb(
  given: Options,
  contenders: readonly Contender[],
  receiver: Receiver,
): Promise<Findings> {
  const rows: Row[] = [];
  const problems: string[] = [];
  const highest = new Map<string, number>();
  let left = contenders;
  for (const perSecond of numbers(given, "ladder")) {
    const rate = { perSecond, seconds: number(given, "seconds"), marginSeconds: number(given, "margin") };
    const passed: Contender[] = [];
    for (const contender of left) {
      const measured = await contender.measure(rate);
      if (measured === undefined) continue;
      const { run, columns } = measured;
      rows.push(toRow(contender.name, perSecond, run, columns));
      const problem = busyProblem(run.answer);
      if (problem !== undefined) problems.push(`${contender.name} at ${perSecond}/s: ${problem}`);
      if (!hasPassed(run)) continue;
      passed.push(contender);
      highest.set(contender.name, perSecond);
      await receiver.forget();
    }
    left = passed;
  }
  const summary = contenders.map(({ name }): Row => ({ name, highestPerSecond: highest.get(name) ?? 0 }));
  return { rows, summary, ...(problems.length > 0 && { problem: problems.join(" ") }) };
}

async function measurePeer(peer: Peer, receiver: Receiver, { perSecond, seconds }: Rate): Promise<RateRun> {
  const expected = perSecond * seconds;
  const fromMs = Math.ceil((Date.now() + peerLeadMs(expected)) / 1_000) * 1_000;
  const toMs = fromMs + seconds * 1_000;
  const running = await peer.start({ fromMs, spreadMs: toMs - fromMs, count: expected });
  await at(fromMs);
  const before = running.cpuMicros();
  await at(toMs);
  const cpuMicros = running.cpuMicros() - before;
  const answer = await receiver.await({ fromMs, toMs }, expected, toMs + 15_000);
  await running.stop();
  return { answer, whole: answer, expected, expectedInAll: expected, cpuMicros };
}

function faults({ whole, expectedInAll }: RateRun) {
  return faultsOf([{ answer: whole, expected: expectedInAll }]);
}

function hasPassed(run: RateRun): boolean {
  const { lost, duplicates, early } = faults(run);
  return lost + duplicates + early === 0 && percentile(run.answer, 99) < MAX_P99_MS;
}

function toRow(name: string, ratePerSecond: number, run: RateRun, columns: Partial<Row> = {}): Row {
  const { answer, cpuMicros, expected } = run;
  return {
    name,
    ratePerSecond,
    p50Ms: percentile(answer, 50),
    p99Ms: percentile(answer, 99),
    ...faults(run),
    cpuMicrosPerDelivery: cpuMicros === null ? null : cpuMicros / expected,
    ...columns,
  };
}
