import { type Floor, startFloor } from "./floor.ts";
import {
  cpuOfDelivery,
  faultsOfRate,
  measureFloor,
  measureProduct,
  printRun,
  type Rate,
  type RateRun,
  usageColumns,
} from "./measure-rate.ts";
import { number, numbers, type Options } from "./options.ts";
import { type Peer, peerLeadMs, startPeers } from "./peers.ts";
import { type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { busyProblem, type Receiver, startReceiver } from "./receiver.ts";
import { type Findings, percentile, type Row } from "./report.ts";
import { createStoredJobs } from "./stored-jobs.ts";

export const title =
  "the highest rate of recurring jobs with a p99 lateness under 1 s; the product, the floor and the peers climb together";

export const options = {
  ladder: [1_000, 2_000, 4_000, 8_000, 12_000, 16_000],
  seconds: 8,
  margin: 4,
  stored: 0,
};

const MAX_P99_MS = 1_000;
/** The code of a new process is compiled while it works. It delivers about 10,000 first, as the floor and the peers do. */
const WARM_UP: Rate = { perSecond: 1_000, seconds: 4, marginSeconds: 3 };

interface Contender {
  readonly name: string;
  /** Undefined: it cannot take part at this rate. */
  readonly measure: (
    rate: Rate,
  ) => Promise<{ readonly run: RateRun; readonly columns?: Partial<Row> } | undefined>;
  /** Ends its process, so that what it has not delivered does not disturb the others. */
  readonly leave: () => unknown;
}

/**
 * Climbs the ladder. A contender leaves it at the first rate at which it loses, doubles or is early with a delivery,
 * or has a p99 of 1 s or more. The findings have a problem when the receiver was the bottleneck at such a rate.
 */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver();
  const closers: (() => unknown)[] = [receiver.stop];
  try {
    const peers = await startPeers(receiver.url, (isRecurring) => !isRecurring);
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
      leave: product.stop,
    },
    {
      name: "floor",
      measure: async (rate) => ({ run: await measureFloor(floor, receiver, rate, false) }),
      leave: () => {},
    },
    ...peers.map((peer) => ({
      name: peer.name,
      leave: peer.leave,
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
  let left = [...contenders];
  for (const [rung, perSecond] of numbers(given, "ladder").entries()) {
    const rate = { perSecond, seconds: number(given, "seconds"), marginSeconds: number(given, "margin") };
    // Each begins in turn: what one leaves behind, such as a checkpoint, does not always meet the same next one.
    const first = rung % Math.max(1, left.length);
    for (const contender of [...left.slice(first), ...left.slice(0, first)]) {
      const { name } = contender;
      const measured = await contender.measure(rate);
      if (measured !== undefined) {
        const { run, columns } = measured;
        printRun(`${name} at ${perSecond}/s`, run);
        rows.push(toRow(name, perSecond, run, columns));
        const problem = busyProblem(run.answer);
        if (problem !== undefined) problems.push(`${name} at ${perSecond}/s: ${problem}`);
        // A rung at which the receiver was too busy says nothing: it neither counts nor ends the ladder.
        else if (hasPassed(run)) highest.set(name, perSecond);
        const { duplicates, early } = faultsOfRate([run]);
        // To be late or to lose ends a ladder. To be early, or double, is wrong at any rate.
        if (name === "easycron" && duplicates + early > 0)
          problems.push(`easycron at ${perSecond}/s: ${duplicates} double and ${early} early deliveries.`);
        await receiver.forget();
        if (problem !== undefined || hasPassed(run)) continue;
      }
      left = left.filter((one) => one !== contender);
      await contender.leave();
    }
  }
  const summary = contenders.map(({ name }): Row => ({ name, highestPerSecond: highest.get(name) ?? 0 }));
  return { rows, summary, ...(problems.length > 0 && { problem: problems.join(" ") }) };
}

async function measurePeer(
  peer: Peer,
  receiver: Receiver,
  { perSecond, seconds, marginSeconds }: Rate,
): Promise<RateRun> {
  const expected = perSecond * seconds;
  const expectedInAll = perSecond * (seconds + 2 * marginSeconds);
  const startMs = Math.ceil((Date.now() + peerLeadMs(expectedInAll)) / 1_000) * 1_000;
  const fromMs = startMs + marginSeconds * 1_000;
  const toMs = fromMs + seconds * 1_000;
  const endMs = toMs + marginSeconds * 1_000;
  await peer.load({ fromMs: startMs, spreadMs: endMs - startMs, count: expectedInAll });
  await at(fromMs);
  const before = peer.cpuMicros();
  await at(toMs);
  const cpuMicros = peer.cpuMicros() - before;
  const whole = await receiver.await({ fromMs: startMs, toMs: endMs }, expectedInAll, endMs);
  return { answer: await receiver.measure({ fromMs, toMs }), whole, expected, expectedInAll, cpuMicros };
}

function hasPassed(run: RateRun): boolean {
  const { lost, duplicates, early } = faultsOfRate([run]);
  return lost + duplicates + early === 0 && percentile(run.answer, 99) < MAX_P99_MS;
}

function toRow(name: string, ratePerSecond: number, run: RateRun, columns: Partial<Row> = {}): Row {
  const { answer } = run;
  return {
    name,
    ratePerSecond,
    p50Ms: percentile(answer, 50),
    p99Ms: percentile(answer, 99),
    ...faultsOfRate([run]),
    cpuMicrosPerDelivery: cpuOfDelivery(run),
    receiverDelayP99Ms: answer.delayP99Ms,
    ...columns,
  };
}
