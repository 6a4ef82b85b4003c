import { type Floor, startFloor } from "./floor.ts";
import { createJobs, every, webhookJob } from "./jobs.ts";
import { number, type Options } from "./options.ts";
import { type Peer, startPeers } from "./peers.ts";
import { type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { type Receiver, SETTLE_MS, type SinkAnswer, startReceiver } from "./receiver.ts";
import {
  type Findings,
  faultsOf,
  median,
  medianCurve,
  percentile,
  problemOf,
  type Row,
  withProblem,
} from "./report.ts";

export const title =
  "recurring jobs due in one second; the product, the floor and the peers that are installed alternate, medians of the runs";

export const options = { jobs: 10_000, runs: 5, warmups: 1, slot: 9 };

/** One burst of one contender. */
interface Burst {
  readonly expected: number;
  readonly answer: SinkAnswer;
  readonly cpuMicros: number;
}

/** Makes a burst that is due at an instant, and returns how much CPU time it took. Undefined: it takes part no longer. */
type Contender = { readonly name: string; readonly burst: (dueMs: number) => Promise<number | undefined> };

/** From the start of a contender's slot to its due time. The scheduler hands these triggers over 5 s ahead. */
const LEAD_MS = 6_000;
/** From the due time of a contender to the start of the next slot. */
const AFTER_MS = 3_000;
/** By how much a slot may begin late. */
const SLACK_MS = 1_000;
/** The slowest creation that the time-table allows: a time for the first calls, and a rate. */
const FIRST_CALLS_MS = 5_000;
const CREATED_PER_SECOND = 1_500;

/** Measures the bursts one after the other. Throws when one takes longer than its slot. */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver();
  const closers: (() => unknown)[] = [receiver.stop];
  try {
    const peers = await startPeers(receiver.url, () => true);
    closers.push(peers.stop);
    const floor = await startFloor(receiver.url);
    closers.push(floor.stop);
    const product = await startProduct();
    closers.push(product.stop);
    return await alternate(given, { receiver, peers: peers.all, floor, product });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function alternate(
  given: Options,
  parts: { receiver: Receiver; peers: readonly Peer[]; floor: Floor; product: Product },
): Promise<Findings> {
  const { receiver, product } = parts;
  const jobs = number(given, "jobs");
  const contenders: Contender[] = [
    { name: "easycron", burst: (dueMs) => burstOfProduct(product, dueMs) },
    { name: "floor", burst: (dueMs) => burstOfFloor(parts.floor, dueMs, jobs) },
    ...parts.peers.map((peer) => ({
      name: peer.name,
      burst: (dueMs: number) => burstOfPeer(peer, dueMs, jobs),
    })),
  ];
  const slotMs = number(given, "slot") * 1_000;
  const periodMs = slotMs * contenders.length;
  const creationMs = FIRST_CALLS_MS + (jobs / CREATED_PER_SECOND) * 1_000;
  const firstMs = Math.ceil((Date.now() + LEAD_MS + creationMs) / 1_000) * 1_000;
  await createJobs(product, jobs, (index) =>
    webhookJob(receiver.url, { name: `burst-${index}`, ...every(periodMs, firstMs) }),
  );
  const made: { readonly name: string; readonly dueMs: number; readonly cpuMicros: number }[] = [];
  for (let turn = 0; turn < number(given, "runs") + number(given, "warmups"); turn++) {
    for (const [index, { name, burst }] of contenders.entries()) {
      const dueMs = firstMs + turn * periodMs + index * slotMs;
      if (Date.now() > dueMs - LEAD_MS + SLACK_MS)
        throw new Error(
          `What comes before ${name} took longer than its slot of ${slotMs / 1_000} s. Give more by --slot.`,
        );
      const cpuMicros = await burst(dueMs);
      if (cpuMicros === undefined) continue;
      const answer = await receiver.measure({ fromMs: dueMs, toMs: dueMs + 1 });
      console.log(
        `turn ${turn + 1}, ${name}: last arrival ${percentile(answer, 100).toFixed(0)} ms, ${answer.arrived} of ${jobs}`,
      );
      if (turn >= number(given, "warmups")) made.push({ name, dueMs, cpuMicros });
    }
  }
  // Asked at the end, so that what was late on a busy machine does not count as lost, and doubles have had their time.
  const bursts: { readonly name: string; readonly burst: Burst }[] = [];
  const endMs = Date.now();
  await at(endMs + SETTLE_MS);
  for (const { name, dueMs, cpuMicros } of made) {
    const answer = await receiver.await({ fromMs: dueMs, toMs: dueMs + 1 }, jobs, endMs);
    bursts.push({ name, burst: { expected: jobs, answer, cpuMicros: cpuMicros / jobs } });
  }
  const byName = Map.groupBy(bursts, ({ name }) => name);
  return {
    ...toFindings([...byName].map(([name, runs]) => ({ name, runs: runs.map(({ burst }) => burst) }))),
    ...withProblem(
      problemOf(bursts.map(({ name, burst: { expected, answer } }) => ({ name, expected, answer }))),
    ),
  };
}

async function burstOfProduct(product: Product, dueMs: number): Promise<number> {
  await at(dueMs - LEAD_MS);
  const before = product.cpuMicros();
  await at(dueMs + AFTER_MS);
  return product.cpuMicros() - before;
}

async function burstOfFloor(floor: Floor, dueMs: number, count: number): Promise<number> {
  await at(dueMs - 1_000);
  const { cpuMicros } = await floor.run({ dueMs: [dueMs], count, spins: false });
  return cpuMicros;
}

async function burstOfPeer(peer: Peer, dueMs: number, count: number): Promise<number | undefined> {
  await at(dueMs - LEAD_MS);
  try {
    await peer.load({ fromMs: dueMs, spreadMs: 0, count });
  } catch (error) {
    // The rest of the benchmark is not given up for one peer.
    console.log(`${peer.name} leaves: ${error instanceof Error ? error.message : error}`);
    await peer.leave();
    return undefined;
  }
  await at(dueMs - 500);
  const before = peer.cpuMicros();
  await at(dueMs + AFTER_MS);
  return peer.cpuMicros() - before;
}

function toFindings(
  contenders: readonly { readonly name: string; readonly runs: readonly Burst[] }[],
): Findings {
  const rows = contenders.map(({ name, runs }) => toRow(name, runs));
  const floor = rows.find(({ name }) => name === "floor")?.lastArrivalMs;
  return {
    rows: rows.map(
      (row): Row => ({ ...row, ratioToFloor: floor === undefined ? null : row.lastArrivalMs / floor }),
    ),
    curves: Object.fromEntries(
      contenders.map(({ name, runs }) => [name, medianCurve(runs.map(({ answer }) => answer))]),
    ),
  };
}

function toRow(name: string, runs: readonly Burst[]) {
  const of = (figure: (run: Burst) => number) => median(runs.map(figure));
  return {
    name,
    lastArrivalMs: of(({ answer }) => percentile(answer, 100)),
    p50Ms: of(({ answer }) => percentile(answer, 50)),
    p99Ms: of(({ answer }) => percentile(answer, 99)),
    ...faultsOf(runs),
    cpuMicrosPerDelivery: of(({ cpuMicros }) => cpuMicros),
    receiverCpuPercent: of(({ answer }) => answer.cpuShare * 100),
    receiverDelayP99Ms: of(({ answer }) => answer.delayP99Ms),
  };
}
