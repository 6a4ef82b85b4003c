import type { PoolLimits, Unanswered } from "./connections.ts";
import { createPool, type Pool } from "./pool.ts";

/** The pools of one process. All lead to the same server. */
export interface PoolGroup {
  /** Makes a pool of at most `max` connections. `answersBeforeDisk` is as in `PoolOptions`. */
  add(name: string, max: number, limits: PoolLimits, options?: { readonly answersBeforeDisk: true }): Pool;
  /** The pools by name. */
  readonly byName: ReadonlyMap<string, Pool>;
  /** Closes all pools. */
  close(): Promise<void>;
}

/** A statement that the server has left unanswered, and its pool. */
export interface SilentPool extends Unanswered {
  readonly pool: string;
}

/**
 * Makes a group without pools. When the server leaves a statement of one pool unanswered, all pools replace their free
 * connections, and `onSilent` is called. `process` begins the names of the pools in pg_stat_activity. `avoidsScans` is as
 * in `PoolOptions`.
 */
export function createPoolGroup(options: {
  readonly connectionString: string;
  readonly process: string;
  readonly avoidsScans?: boolean;
  readonly onSilent: (silent: SilentPool) => void;
}): PoolGroup {
  const { connectionString, process, avoidsScans = false, onSilent } = options;
  const pools = new Map<string, Pool>();
  return {
    byName: pools,
    add: (name, max, limits, rest) => {
      const pool = createPool({
        connectionString,
        max,
        applicationName: `${process}-${name}`,
        limits,
        avoidsScans,
        ...rest,
        onSilent: (silent) => {
          for (const [other, { renew }] of pools) if (other !== name) renew();
          onSilent({ pool: name, ...silent });
        },
      });
      pools.set(name, pool);
      return pool;
    },
    close: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}
