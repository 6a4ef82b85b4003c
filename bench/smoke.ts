import { startFloor } from "./floor.ts";
import { measureIdle } from "./idle.ts";
import { createJobs, every, webhookJob } from "./jobs.ts";
import { measureLoad } from "./load.ts";
import { measureFloor, measureProduct } from "./measure-rate.ts";
import { type Product, startProduct } from "./product.ts";
import { busyProblem, type Receiver, startReceiver } from "./receiver.ts";
import { faultsOf, printTable, type Row } from "./report.ts";

/** Less than the rate has. */
const BURST_LEAD_MS = 9_000;
const BURST_JOBS = 200;
const RATE = { perSecond: 100, seconds: 3, marginSeconds: 1 };
const LOAD = { stored: 1_000, calls: 50, callers: 8, repeats: 2 };

/**
 * Runs tiny sizes of `burst`, `rate`, `idle` and `load` on one product, in less than a minute. Throws when one of them
 * does not work, or when a delivery is lost, doubled or early. How fast anything is does not matter.
 */
export async function smoke(): Promise<void> {
  await checkThatBusyReceiverIsNoticed();
  const receiver = await startReceiver();
  try {
    const product = await startProduct();
    try {
      await runParts(product, receiver);
    } finally {
      await product.stop();
    }
  } finally {
    receiver.stop();
  }
}

async function runParts(product: Product, receiver: Receiver): Promise<void> {
  const faults = await Promise.all([runBurst(product, receiver), runRate(product, receiver)]);
  printTable(faults);
  const load = await measureLoad(product, LOAD);
  printTable(load);
  const idle = await measureIdle(product, { stored: LOAD.stored, settleSeconds: 1, seconds: 2 });
  printTable([idle]);
  for (const row of [...load, idle]) {
    const wrong = Object.entries(row).find(
      ([name, figure]) =>
        (typeof figure === "number" && !Number.isFinite(figure)) || (name.endsWith("MiB") && !figure),
    );
    if (wrong !== undefined) throw new Error(`${row.name} has no figure ${wrong[0]}.`);
  }
  if (!product.cpuMicros()) throw new Error("The product used no CPU time, so it was not measured.");
}

async function runBurst(product: Product, receiver: Receiver): Promise<Row> {
  // Before the rate begins, so that no window has deliveries of both.
  const dueMs = Math.floor((Date.now() + BURST_LEAD_MS) / 1_000) * 1_000;
  await createJobs(product, BURST_JOBS, (index) =>
    webhookJob(receiver.url, { name: `burst-${index}`, ...every(86_400_000, dueMs) }),
  );
  const window = { fromMs: dueMs, toMs: dueMs + 1 };
  const answer = await receiver.await(window, BURST_JOBS, dueMs, true);
  return check("burst", faultsOf([{ answer, expected: BURST_JOBS }]));
}

async function runRate(product: Product, receiver: Receiver): Promise<Row> {
  const { whole, expectedInAll } = await measureProduct(product, receiver, RATE);
  return check("rate", faultsOf([{ answer: whole, expected: expectedInAll }]));
}

function check(name: string, faults: ReturnType<typeof faultsOf>): Row {
  const { lost, duplicates, early } = faults;
  if (lost + duplicates + early > 0)
    throw new Error(
      `${name} had ${lost} lost, ${duplicates} double and ${early} early deliveries; each must be 0.`,
    );
  return { name, ...faults };
}

/** Sends to a receiver that takes 2 ms for each request. Throws when the benchmark does not notice. */
async function checkThatBusyReceiverIsNoticed(): Promise<void> {
  const receiver = await startReceiver({ burnMicros: 2_000 });
  try {
    const floor = await startFloor(receiver.url, 0);
    const rate = { perSecond: 1_000, seconds: 1, marginSeconds: 0 };
    const { answer } = await measureFloor(floor, receiver, rate, false);
    floor.stop();
    if (busyProblem(answer) === undefined)
      throw new Error(
        `A receiver that takes 2 ms for each request was not noticed: its CPU share was ${answer.cpuShare}, and its ` +
          `event loop ${answer.delayP99Ms} ms late.`,
      );
  } finally {
    receiver.stop();
  }
}
