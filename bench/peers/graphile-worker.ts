// graphile-worker 0.18: one-off jobs with run_at. Its fast settings: a local queue and completions in batches, and a
// poll each 100 ms (the default is 2 s).
import type { Adapter, PeerJob } from "./adapter.ts";

interface Utils {
  migrate(): Promise<void>;
  addJobs(jobs: readonly object[]): Promise<unknown>;
  release(): Promise<void>;
}

interface Library {
  readonly Logger: new (factory: () => (level: string, message: string) => void) => object;
  makeWorkerUtils(options: object): Promise<Utils>;
  run(options: object): Promise<unknown>;
}

const PACKAGE: string = "graphile-worker";
const BATCH = 5_000;
const CONCURRENCY = 64;

const library = (await import(PACKAGE)) as Library;
const logger = new library.Logger(() => (level, message) => {
  if (level === "error") console.error(`${PACKAGE}: ${message}`);
});

const withUtils = async (databaseUrl: string, use: (utils: Utils) => Promise<void>): Promise<void> => {
  const utils = await library.makeWorkerUtils({ connectionString: databaseUrl, logger });
  await use(utils);
  await utils.release();
};

export const adapter: Adapter = {
  connections: CONCURRENCY,
  reset: ({ databaseUrl }) => withUtils(databaseUrl, (utils) => utils.migrate()),
  load: ({ databaseUrl }, jobs) =>
    withUtils(databaseUrl, async (utils) => {
      for (let from = 0; from < jobs.length; from += BATCH) {
        const batch = jobs.slice(from, from + BATCH);
        await utils.addJobs(
          batch.map((job) => ({
            identifier: "hook",
            payload: job,
            runAt: new Date(job.dueMs),
            maxAttempts: 5,
          })),
        );
      }
    }),
  work: async ({ databaseUrl }, deliver) => {
    await library.run({
      connectionString: databaseUrl,
      logger,
      noHandleSignals: true,
      taskList: { hook: (payload: PeerJob) => deliver(payload) },
      preset: {
        worker: {
          concurrentJobs: CONCURRENCY,
          pollInterval: 100,
          maxPoolSize: 20,
          localQueue: { size: 500 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    });
  },
};
