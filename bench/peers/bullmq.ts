// BullMQ 6: one-off delayed jobs, on a Redis with appendfsync everysec (weaker than PostgreSQL's fsync per commit).
import { Redis } from "ioredis";
import type { Adapter, Deliver, PeerJob, Stores } from "./adapter.ts";

interface QueueOf {
  addBulk(jobs: readonly object[]): Promise<unknown>;
  upsertJobScheduler(id: string, repeat: object, template: object): Promise<unknown>;
  close(): Promise<void>;
}

interface WorkerOf {
  on(event: "error", listener: (error: Error) => void): void;
  waitUntilReady(): Promise<unknown>;
}

interface Library {
  readonly Queue: new (name: string, options: object) => QueueOf;
  readonly Worker: new (
    name: string,
    handler: (job: { readonly data: PeerJob }) => Promise<void>,
    options: object,
  ) => WorkerOf;
}

const PACKAGE: string = "bullmq";
const QUEUE = "hook";
const BATCH = 1_000;
const CONCURRENCY = 100;

/** The options of each job. */
export const JOB_OPTIONS = {
  attempts: 5,
  backoff: { type: "exponential", delay: 1_000 },
  removeOnComplete: true,
  removeOnFail: 10_000,
};

const library = (await import(PACKAGE)) as Library;
const connectionOf = ({ redis }: Stores) => ({ ...redis, maxRetriesPerRequest: null });

/** Opens the queue, and closes it after its use. */
export async function withQueue(stores: Stores, use: (queue: QueueOf) => Promise<void>): Promise<void> {
  const queue = new library.Queue(QUEUE, { connection: connectionOf(stores) });
  await use(queue);
  await queue.close();
}

async function reset(stores: Stores): Promise<void> {
  const redis = new Redis(connectionOf(stores));
  await redis.flushdb();
  await redis.quit();
}

async function work(stores: Stores, deliver: Deliver): Promise<void> {
  const worker = new library.Worker(QUEUE, ({ data }) => deliver(data), {
    connection: connectionOf(stores),
    concurrency: CONCURRENCY,
    removeOnComplete: { count: 0 },
  });
  worker.on("error", (error) => console.error(`${PACKAGE}: ${error.message}`));
  await worker.waitUntilReady();
}

export const adapter: Adapter = {
  connections: CONCURRENCY,
  reset,
  load: (stores, jobs) =>
    withQueue(stores, async (queue) => {
      for (let from = 0; from < jobs.length; from += BATCH) {
        const nowMs = Date.now();
        const batch = jobs.slice(from, from + BATCH);
        await queue.addBulk(
          batch.map((data) => ({
            name: QUEUE,
            data,
            opts: { ...JOB_OPTIONS, jobId: `j-${data.id}`, delay: Math.max(0, data.dueMs - nowMs) },
          })),
        );
      }
    }),
  work,
};
