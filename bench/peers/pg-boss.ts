// pg-boss 12: one-off jobs with startAfter. Its fast settings: 8 workers with batches of 200, and the shortest poll
// that it has, 0.5 s.
import type { Adapter, PeerJob } from "./adapter.ts";

interface Boss {
  on(event: "error", listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: object): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  insert(name: string, jobs: readonly object[]): Promise<unknown>;
  work(
    name: string,
    options: object,
    handler: (jobs: readonly BossJob[]) => Promise<unknown>,
  ): Promise<unknown>;
}

interface BossJob {
  readonly id: string;
  readonly data: PeerJob;
}

const PACKAGE: string = "pg-boss";
const QUEUE = "hook";
const BATCH = 5_000;

const { PgBoss } = (await import(PACKAGE)) as { readonly PgBoss: new (options: object) => Boss };

const open = async (databaseUrl: string): Promise<Boss> => {
  const boss = new PgBoss({ connectionString: databaseUrl, max: 20, schedule: false, supervise: true });
  boss.on("error", (error) => console.error(`${PACKAGE}: ${error.message}`));
  await boss.start();
  return boss;
};

export const adapter: Adapter = {
  connections: 128,
  reset: async ({ databaseUrl }) => {
    const boss = await open(databaseUrl);
    await boss.createQueue(QUEUE, { retryLimit: 5, retryBackoff: true, expireInSeconds: 60 });
    await boss.stop({ graceful: false });
  },
  load: async ({ databaseUrl }, jobs) => {
    const boss = await open(databaseUrl);
    for (let from = 0; from < jobs.length; from += BATCH) {
      const batch = jobs.slice(from, from + BATCH);
      await boss.insert(
        QUEUE,
        batch.map((data) => ({ data, startAfter: new Date(data.dueMs) })),
      );
    }
    await boss.stop({ graceful: false });
  },
  work: async ({ databaseUrl }, deliver) => {
    const boss = await open(databaseUrl);
    const options = {
      batchSize: 200,
      localConcurrency: 8,
      pollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
      perJobResults: true,
    };
    await boss.work(QUEUE, options, (jobs) =>
      Promise.all(
        jobs.map(async ({ id, data }) => {
          await deliver(data);
          return { id, status: "completed", output: {} };
        }),
      ),
    );
  },
};
