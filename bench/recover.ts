import { createJobs, every, type JobInit, webhookJob } from "./jobs.ts";
import { number, type Options } from "./options.ts";
import { type Product, startProduct } from "./product.ts";
import { at } from "./programs.ts";
import { type Receiver, startReceiver } from "./receiver.ts";
import { type Findings, faultsOf, percentile, problemOf, withProblem } from "./report.ts";

export const title =
  "overdue triggers after an outage, while other jobs of the project go on: the lateness of these, and the rate of the backlog";

export const options = { jobs: 100_000, rate: 500, catchup: 7_200, outage: 15, margin: 5 };

/** The slowest creation that the time-table allows. */
const CREATED_PER_SECOND = 2_000;
const FIRST_CALLS_MS = 10_000;
/** The scheduler hands triggers over 5 s ahead (8 s those of jobs that fire each second), so the product is stopped earlier before they are due. */
const STOP_BEFORE_MS = 8_000;
/** How long the backlog may take beyond its rate. */
const GRACE_MS = 120_000;
const MISFIRE_SKIP = 3;

/**
 * Creates jobs that are due once at the same instant, and others that fire each second. Stops the product before that
 * instant, and starts it again when the jobs are overdue by more than 10 s, which makes them catch-up. `catchup` is how
 * many of them a second the scheduler lets become due. The others skip what they miss.
 */
export async function run(given: Options): Promise<Findings> {
  const receiver = await startReceiver();
  const env = { EASYCRON_SCHEDULER_CATCHUP_PER_SECOND: String(number(given, "catchup")) };
  let product = await startProduct([], { env });
  try {
    const dueMs = await createBacklog(product, receiver, given);
    await at(dueMs - STOP_BEFORE_MS);
    await product.halt();
    await at(dueMs + number(given, "outage") * 1_000);
    product = await startProduct([], { data: product.data, env });
    return await measureRecovery(receiver, given, dueMs, Date.now());
  } finally {
    await product.stop();
    receiver.stop();
  }
}

/** Returns when the backlog is due. No job of the others is due in this millisecond. */
async function createBacklog(product: Product, { url }: Receiver, given: Options): Promise<number> {
  const jobs = number(given, "jobs");
  const rate = number(given, "rate");
  const startMs = Math.ceil(Date.now() / 1_000) * 1_000;
  const leadMs = FIRST_CALLS_MS + (jobs / CREATED_PER_SECOND) * 1_000 + STOP_BEFORE_MS;
  const dueMs = startMs + Math.ceil(leadMs / 1_000) * 1_000 + 1;
  const others = (index: number): JobInit =>
    webhookJob(url, {
      name: `other-${index}`,
      ...every(1_000, startMs + 2 * Math.floor((index * 500) / rate)),
      misfirePolicy: MISFIRE_SKIP,
    });
  await createJobs(product, rate, others);
  const { seconds } = await createJobs(product, jobs, (index) =>
    webhookJob(url, { name: `overdue-${index}`, ...every(86_400_000, dueMs) }),
  );
  if (Date.now() > dueMs - STOP_BEFORE_MS)
    throw new Error(
      `Creating ${jobs} jobs took ${seconds.toFixed(1)} s, which is more than 1 s for ${CREATED_PER_SECOND} jobs. ` +
        "This machine is too busy or too slow for so many.",
    );
  return dueMs;
}

async function measureRecovery(
  receiver: Receiver,
  given: Options,
  dueMs: number,
  readyMs: number,
): Promise<Findings> {
  const jobs = number(given, "jobs");
  const rate = number(given, "rate");
  const longestMs = (jobs / number(given, "catchup")) * 1_000 + GRACE_MS;
  const overdue = { fromMs: dueMs, toMs: dueMs + 1 };
  const backlog = await receiver.await(overdue, jobs, readyMs + longestMs, true);
  const fromMs = Math.ceil(readyMs / 1_000) * 1_000;
  const whileMs = Math.max(1_000, Math.ceil((backlog.lastMs - fromMs) / 1_000) * 1_000);
  const during = { fromMs, toMs: fromMs + whileMs };
  const after = { fromMs: during.toMs, toMs: during.toMs + number(given, "margin") * 1_000 };
  await at(after.toMs);
  const rows = [];
  const problems = [problemOf([{ name: "backlog", expected: jobs, answer: backlog }])];
  for (const [name, window] of Object.entries({ "on time, meanwhile": during, "on time, after it": after })) {
    const expected = ((window.toMs - window.fromMs) / 1_000) * rate;
    const answer = await receiver.await(window, expected, window.toMs, true);
    problems.push(problemOf([{ name, expected, answer }]));
    rows.push({
      name,
      deliveries: answer.arrived,
      p50Ms: percentile(answer, 50),
      p99Ms: percentile(answer, 99),
      maxMs: percentile(answer, 100),
      ...faultsOf([{ answer, expected }]),
      receiverDelayP99Ms: answer.delayP99Ms,
    });
  }
  const seconds = (backlog.lastMs - backlog.firstMs) / 1_000;
  return {
    ...withProblem(...problems),
    rows: [
      ...rows,
      {
        name: "backlog",
        deliveries: backlog.arrived,
        ...faultsOf([{ answer: backlog, expected: jobs }]),
        firstAfterReadyMs: backlog.firstMs - readyMs,
        lastAfterReadyMs: backlog.lastMs - readyMs,
        perSecond: backlog.arrived / seconds,
      },
    ],
  };
}
