import type { Pool } from "../db/pool.ts";
import { createPoolGroup, type SilentPool } from "../db/pool-group.ts";
import { createShares, type Shares } from "../db/shares.ts";
import type { SchedulerConfig } from "./config.ts";

/** The scheduler's connection pools. Each kind of work has its own, so that it does not wait for the others. */
export interface Pools {
  /** For the tick, and for refreshing the zone data that it uses. */
  readonly tick: Pool;
  /** For calls. One project uses at most half of its connections at once. */
  readonly api: Shares;
  /** For work that nobody waits for: audits, backfills, settling and housekeeping. */
  readonly background: Pool;
  /** For reading what traces are linked to. */
  readonly traces: Pool;
  /** For reading PostgreSQL's clock. */
  readonly clock: Pool;
  /** All of them by name, for measuring. */
  readonly byName: ReadonlyMap<string, Pool>;
  /** Closes all pools. */
  close(): Promise<void>;
}

// A tick that waits delays every job, so it gives up soon and begins again.
const TICK = { connectionMs: 2_000, statementMs: 4_000, lockMs: 1_000, answerMs: 5_000 };
// The gateway gives a call 10 s. A call that waits for a lock holds a connection that other customers need.
const API = { connectionMs: 1_000, statementMs: 8_000, lockMs: 2_000, answerMs: 9_000 };
// How long a statement waits until another one of its project gives a connection back.
const API_WAIT_MS = 2_000;
const BACKGROUND = { connectionMs: 10_000, statementMs: 30_000, lockMs: 5_000, answerMs: 31_000 };
// Spans wait for it, and do without it when it takes long.
const TRACES = { connectionMs: 1_000, statementMs: 1_000, lockMs: 1_000, answerMs: 2_000 };
// It is read every second, so it is the first to notice that the server does not answer.
const CLOCK = { connectionMs: 2_000, statementMs: 1_000, lockMs: 1_000, answerMs: 2_000 };

/**
 * Makes the pools. Connections are opened when they are first needed. `onSilent` is called when PostgreSQL has left a
 * statement unanswered and the free connections of all pools are replaced.
 */
export function createPools(
  config: Pick<SchedulerConfig, "databaseUrl" | "databaseConnections">,
  onSilent: (silent: SilentPool) => void,
): Pools {
  const process = "easycron-scheduler";
  const group = createPoolGroup({ connectionString: config.databaseUrl, process, onSilent });
  const api = group.add("api", config.databaseConnections, API);
  return {
    tick: group.add("tick", 3, TICK),
    api: createShares(api, { most: config.databaseConnections / 2, waitMs: API_WAIT_MS }),
    background: group.add("background", 4, BACKGROUND),
    traces: group.add("traces", 1, TRACES),
    clock: group.add("clock", 1, CLOCK),
    byName: group.byName,
    close: group.close,
  };
}
