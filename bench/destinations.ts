import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createJobs, every, webhookJob } from "./jobs.ts";
import { number, type Options } from "./options.ts";
import { type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { type Findings, faultsOf, percentile, problemOf, type Row, withProblem } from "./report.ts";

export const title =
  "many destinations, a tenth of them slow (2 s), hung or dead: the lateness at the healthy ones without and with them";

export const options = { destinations: 1_000, seconds: 35, margin: 6 };

/** From the creation of the last job until it is due. */
const LEAD_MS = 10_000;
const CREATED_PER_SECOND = 500;
/** Nothing listens here: the port of the discard service, which is off everywhere. */
const DEAD_PORT = 9;

/** Each destination gets one delivery a second, due at equal distances, for longer than an attempt's time limit of 30 s. A tenth of them begins half-way. */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver({ host: "0.0.0.0" });
  try {
    const product = await startProduct();
    try {
      return await measureBoth(product, receiver, given);
    } finally {
      await product.stop();
    }
  } finally {
    receiver.stop();
  }
}

async function measureBoth(product: Product, receiver: Receiver, given: Options): Promise<Findings> {
  const count = number(given, "destinations");
  const seconds = number(given, "seconds");
  const marginMs = number(given, "margin") * 1_000;
  const startMs = Math.ceil((Date.now() + LEAD_MS + (count / CREATED_PER_SECOND) * 1_000) / 1_000) * 1_000;
  const without = { fromMs: startMs + marginMs, toMs: startMs + marginMs + seconds * 1_000 };
  const together = {
    fromMs: without.toMs + 2 * marginMs,
    toMs: without.toMs + 2 * marginMs + seconds * 1_000,
  };
  const endTime = timestampFromMs(together.toMs + marginMs - 1);
  await createJobs(product, count, (index) => {
    const isBad = index % 10 === 0;
    const firstMs = (isBad ? without.toMs + marginMs : startMs) + Math.floor((index * 1_000) / count);
    const url = isBad ? badUrl(index, receiver.port) : `http://${addressOf(index)}:${receiver.port}/`;
    return webhookJob(url, { name: `to-${index}`, ...every(1_000, firstMs), endTime });
  });
  await at(together.toMs + marginMs);
  const healthy = count - Math.ceil(count / 10);
  const rows: Row[] = [];
  const problems: (string | undefined)[] = [];
  for (const [name, window] of Object.entries({ "all healthy": without, "a tenth slow or dead": together })) {
    const answer = await receiver.await(window, healthy * seconds, window.toMs, true);
    problems.push(problemOf([{ name, expected: healthy * seconds, answer }]));
    rows.push({
      name,
      healthyDeliveries: answer.arrived,
      p50Ms: percentile(answer, 50),
      p99Ms: percentile(answer, 99),
      maxMs: percentile(answer, 100),
      ...faultsOf([{ answer, expected: healthy * seconds }]),
      receiverDelayP99Ms: answer.delayP99Ms,
    });
  }
  return { rows, ...withProblem(...problems) };
}

/** Of four bad destinations, two answer after 2 s, one never, and at one nothing listens. */
function badUrl(index: number, port: number): string {
  const kind = (index / 10) % 4;
  if (kind === 3) return `http://${addressOf(index)}:${DEAD_PORT}/`;
  return `http://${addressOf(index)}:${port}/${kind === 2 ? "hung" : "slow"}`;
}

/** An address of this machine for each destination. Linux has all of 127.0.0.0/8. */
function addressOf(index: number): string {
  return `127.1.${index >> 8}.${index & 255}`;
}
