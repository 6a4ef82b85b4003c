import { createJobs, webhookJob } from "./jobs.ts";
import { number, type Options } from "./options.ts";
import { difference, type Product, startProduct } from "./product.ts";
import { type Findings, median, type Row } from "./report.ts";
import { createStoredJobs, settleDatabase } from "./stored-jobs.ts";

export const title = "jobs created by BatchCreateJobs and by CreateJob, and pages of ListJobs";

export const options = { stored: 300_000, calls: 20_000, callers: 64, repeats: 20 };

const BATCH_CALLERS = 4;
const BATCH = 500;

/** Measures on one product: first the batches, then single calls, then the lists. */
export async function run(given: Options): Promise<Findings> {
  const product = await startProduct();
  try {
    return { rows: await measureLoad(product, given) };
  } finally {
    await product.stop();
  }
}

/** Measures how fast jobs are created and listed. */
export async function measureLoad(product: Product, given: Options): Promise<Row[]> {
  const stored = number(given, "stored");
  const calls = number(given, "calls");
  const callers = number(given, "callers");
  // The code of a new process is compiled while it works.
  await createWarmUpJobs(product);
  const batches = await measureCreation(product, stored, () =>
    createStoredJobs(product, 0, stored, { callers: BATCH_CALLERS, batch: BATCH }),
  );
  const singles = await measureCreation(product, calls, () =>
    createStoredJobs(product, stored, stored + calls, { callers, batch: 1 }),
  );
  await settleDatabase(product);
  const rows: Row[] = [
    { name: `BatchCreateJobs, ${BATCH_CALLERS} callers`, ...batches },
    { name: `CreateJob, ${callers} callers`, ...singles },
  ];
  for (const [name, query] of Object.entries(LISTS)) {
    rows.push({ name: `ListJobs ${name}`, ...(await measureList(product, query, number(given, "repeats"))) });
  }
  return rows;
}

const PAGE_SIZE = 50;

/** What is listed. Of the stored jobs, a hundredth has the label team-7, and a thousandth the label rare. */
const LISTS = {
  "by name": {},
  "by label (1 of 100)": { filter: 'labels.team = "team-7"' },
  "by label (1 of 1,000)": { filter: 'labels.rare = "yes"' },
  "by a label that no job has": { filter: 'labels.team = "none"' },
  "by next fire time": { orderBy: "next_fire_time" },
  "by name prefix": { filter: 'name = "stored-99*"' },
} as const;

async function createWarmUpJobs(product: Product): Promise<void> {
  const jobOf = (index: number) =>
    webhookJob("http://127.0.0.1:9/", {
      name: `warm-up-${index}`,
      schedules: [{ kind: { case: "cron", value: { expression: "0 0 1 1 *" } } }],
    });
  await createJobs(product, 1_000, jobOf, { batch: 100 });
  await createJobs(product, 200, (index) => jobOf(1_000 + index), { batch: 1 });
}

async function measureCreation(
  product: Product,
  count: number,
  make: () => Promise<{ readonly seconds: number; readonly refused: number }>,
): Promise<Omit<Row, "name">> {
  const before = product.cpuByPart();
  const { seconds, refused } = await make();
  const { gateway, scheduler, postgres } = difference(before, product.cpuByPart());
  return {
    jobsPerSecond: count / seconds,
    refused,
    gatewayMicros: gateway / count,
    schedulerMicros: scheduler / count,
    postgresMicros: postgres / count,
    gatewayMiB: (product.memoryByPart().gateway ?? 0) / 2 ** 20,
  };
}

/** Reads the first page and the one after it, several times. */
async function measureList(
  { client }: Product,
  query: { readonly filter?: string; readonly orderBy?: string },
  repeats: number,
): Promise<Omit<Row, "name">> {
  const first: number[] = [];
  const second: number[] = [];
  let jobs = 0;
  const page = async (times: number[], pageToken: string) => {
    const startedMs = performance.now();
    const answer = await client.raw.jobs.listJobs(
      { ...query, pageSize: PAGE_SIZE, pageToken },
      { timeoutMs: 60_000 },
    );
    times.push(performance.now() - startedMs);
    return answer;
  };
  for (let repeat = 0; repeat < repeats; repeat++) {
    const { jobs: found, nextPageToken } = await page(first, "");
    jobs = found.length;
    if (nextPageToken !== "") await page(second, nextPageToken);
  }
  return {
    jobs,
    p50Ms: median(first),
    maxMs: Math.max(...first),
    nextPageP50Ms: second.length === 0 ? null : median(second),
  };
}
