import type { Pool } from "../db/pool.ts";
import { createPoolGroup, type SilentPool } from "../db/pool-group.ts";
import { createShares, type Shares } from "../db/shares.ts";
import type { DispatcherConfig } from "./config.ts";

/** The dispatcher's connection pools. Each kind of work has its own, so that it does not wait for the others. */
export interface Pools {
  /** For recording the events of schedulers. */
  readonly accept: Pool;
  /** For claims. Its commits do not wait for the disk. */
  readonly claims: Pool;
  /** For results, and for triggers that are ended or given up. */
  readonly results: Pool;
  /** For looking up the order of triggers, and for recording what they wait for. */
  readonly waits: Pool;
  /** For the lease. */
  readonly lease: Pool;
  /** For specifications and signing keys. */
  readonly lookups: Pool;
  /** For secrets of targets and keys of acknowledgement tokens, so that signing keys do not wait for them. */
  readonly secrets: Pool;
  /** For calls of customers. One project uses at most half of its connections at once. */
  readonly api: Shares;
  /** For recovery and partitions. */
  readonly upkeep: Pool;
  /** For waking the jobs that wait for the end of a trigger. */
  readonly wakes: Pool;
  /** For alerts: looking for what they report, and sending them. */
  readonly alerts: Pool;
  /** For reading PostgreSQL's clock. */
  readonly clock: Pool;
  /** All of them by name, for measuring. */
  readonly byName: ReadonlyMap<string, Pool>;
  /** Closes all pools. */
  close(): Promise<void>;
}

// A scheduler gives up a batch after 1.5 s. Each batch has a deadline before that, which the statement checks.
const ACCEPT = { connectionMs: 1_000, statementMs: 3_500, lockMs: 2_000, answerMs: 4_000 };
const CLAIMS = { connectionMs: 2_000, statementMs: 4_000, lockMs: 1_000, answerMs: 5_000 };
const RESULTS = { connectionMs: 2_000, statementMs: 5_000, lockMs: 5_000, answerMs: 6_000 };
const WAITS = { connectionMs: 2_000, statementMs: 4_000, lockMs: 1_000, answerMs: 5_000 };
const LOOKUPS = { connectionMs: 2_000, statementMs: 4_000, lockMs: 4_000, answerMs: 5_000 };
// The gateway gives a call 10 s.
const API = { connectionMs: 1_000, statementMs: 5_000, lockMs: 2_000, answerMs: 6_000 };
// How long a statement waits until another one of its project gives a connection back.
const API_WAIT_MS = 2_000;
const WAKES = { connectionMs: 2_000, statementMs: 5_000, lockMs: 1_000, answerMs: 6_000 };
const ALERTS = { connectionMs: 2_000, statementMs: 5_000, lockMs: 1_000, answerMs: 6_000 };
const UPKEEP = { connectionMs: 5_000, statementMs: 10_000, lockMs: 2_000, answerMs: 11_000 };
// It is read every second, so it is the first to notice that the server does not answer.
const CLOCK = { connectionMs: 2_000, statementMs: 1_000, lockMs: 1_000, answerMs: 2_000 };

/**
 * Makes the pools. Connections are opened when they are first needed. `onSilent` is called when PostgreSQL has left a
 * statement unanswered and the free connections of all pools are replaced.
 */
export function createPools(
  config: Pick<DispatcherConfig, "databaseUrl" | "databaseConnections" | "leaseMs">,
  onSilent: (silent: SilentPool) => void,
): Pools {
  const process = "easycron-dispatcher";
  const group = createPoolGroup({
    connectionString: config.databaseUrl,
    process,
    // The queue's statements are planned once, often while its tables are empty.
    avoidsScans: true,
    onSilent,
  });
  const api = group.add("api", config.databaseConnections, API);
  return {
    accept: group.add("accept", 4, ACCEPT),
    // If PostgreSQL crashes and loses a claim, the claim is made again, and the trigger is delivered again under the
    // same id. So a claim does not wait for the disk: if it did, every due trigger would wait with it.
    claims: group.add("claims", 4, CLAIMS, { answersBeforeDisk: true }),
    // Results must not wait for anything else: a delivery that is not recorded is repeated.
    results: group.add("results", 3, RESULTS),
    // One project may have very many triggers that wait.
    waits: group.add("waits", 2, WAITS),
    lease: group.add("lease", 1, toLeaseLimits(config.leaseMs)),
    lookups: group.add("lookups", 2, LOOKUPS),
    secrets: group.add("secrets", 2, LOOKUPS),
    api: createShares(api, { most: config.databaseConnections / 2, waitMs: API_WAIT_MS }),
    upkeep: group.add("upkeep", 3, UPKEEP),
    wakes: group.add("wakes", 1, WAKES),
    alerts: group.add("alerts", 2, ALERTS),
    clock: group.add("clock", 1, CLOCK),
    byName: group.byName,
    close: group.close,
  };
}

/** Two renewals fit in a lease of the usual length, so one of them may fail. */
function toLeaseLimits(leaseMs: number) {
  const renewalMs = Math.max(1_000, Math.round(leaseMs / 3));
  return { connectionMs: renewalMs, statementMs: renewalMs, lockMs: renewalMs, answerMs: renewalMs };
}
