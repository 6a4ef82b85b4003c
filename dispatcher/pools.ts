import { createPool, type Database } from "../db/pool.ts";
import type { DispatcherConfig } from "./config.ts";

const CLAIM_CONNECTIONS = 4;
/** One for results, one for the lease. */
const RESULT_CONNECTIONS = 2;
const RESULT_TIMEOUT_MS = 5_000;
const WAKE_TIMEOUT_MS = 5_000;

/** The dispatcher's connection pools. Each kind of work has its own, so that it does not wait for the others. */
export interface Pools {
  /** For everything but claims, results and the lease. */
  readonly database: Database;
  /** For claims. Its commits do not wait for the disk. */
  readonly claimDatabase: Database;
  /** For results and the lease. */
  readonly resultDatabase: Database;
  /** For waking the jobs that wait for a trigger's end: one connection. */
  readonly wakeDatabase: Database;
  /** Closes all pools. */
  close(): Promise<void>;
}

/** Makes the pools. Connections are opened when they are first needed. */
export function createPools(config: Pick<DispatcherConfig, "databaseUrl" | "databaseConnections">): Pools {
  const connectionString = config.databaseUrl;
  const database = createPool({
    connectionString,
    max: config.databaseConnections,
    applicationName: "easycron-dispatcher",
  });
  // If PostgreSQL crashes and loses a claim, the claim is made again, and the trigger is delivered again under the same
  // id. So a claim does not wait for the disk: if it did, every due trigger would wait with it.
  const claimDatabase = createPool({
    connectionString,
    max: CLAIM_CONNECTIONS,
    applicationName: "easycron-dispatcher-claims",
    answersBeforeDisk: true,
  });
  // Results and the lease must not wait for reads and claims: a delivery that is not recorded is repeated.
  const resultDatabase = createPool({
    connectionString,
    max: RESULT_CONNECTIONS,
    applicationName: "easycron-dispatcher-results",
    statementTimeoutMs: RESULT_TIMEOUT_MS,
  });
  const wakeDatabase = createPool({
    connectionString,
    max: 1,
    applicationName: "easycron-dispatcher-wakes",
    statementTimeoutMs: WAKE_TIMEOUT_MS,
  });
  return {
    database,
    claimDatabase,
    resultDatabase,
    wakeDatabase,
    close: async () => {
      await wakeDatabase.close();
      await resultDatabase.close();
      await claimDatabase.close();
      await database.close();
    },
  };
}
