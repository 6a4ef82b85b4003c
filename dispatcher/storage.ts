import { checkMigrated } from "../db/check-migrated.ts";
import { type DatabaseClock, startDatabaseClock } from "../db/database-clock.ts";
import type { SilentPool } from "../db/pool-group.ts";
import type { Logger } from "../mesh/logger.ts";
import type { DispatcherConfig } from "./config.ts";
import { createPools, type Pools } from "./pools.ts";
import { checkMasterKeys } from "./signing-keys/master-key.ts";
import { createMasterKeys, type MasterKeys } from "./signing-keys/master-keys.ts";

/** The database, its clock, and the keys that open what is sealed in it. */
export interface Storage {
  readonly pools: Pools;
  readonly databaseClock: DatabaseClock;
  readonly masterKeys: MasterKeys;
}

/**
 * Opens the database. Throws a ConfigError if it is not migrated or has another master key, and SERVICE_UNAVAILABLE if it
 * does not answer.
 */
export async function openStorage(config: DispatcherConfig, logger: Logger): Promise<Storage> {
  const onSilent = (silent: SilentPool) => logger.warn(silent, "PostgreSQL does not answer; connecting anew");
  const pools = createPools(config, onSilent);
  await checkMigrated(pools.clock);
  const masterKeys = createMasterKeys(config.masterKey, config.previousMasterKey);
  await checkMasterKeys({ database: pools.lookups, masterKeys, logger });
  const databaseClock = await startDatabaseClock({ database: pools.clock, logger });
  return { pools, databaseClock, masterKeys };
}
