import { clockRead } from "../db/database-clock.sql.ts";
import { createPool, type Pool } from "../db/pool.ts";
import type { Logger } from "../mesh/logger.ts";
import { startLoop } from "../mesh/loop.ts";
import { startWatchdog, type Watchdog, type Watched } from "../mesh/watchdog.ts";

/** Looks whether PostgreSQL answers, so that a gateway without it says that it does not serve. */
export interface DatabaseLook {
  readonly pool: Pool;
  readonly watched: readonly Watched[];
  readonly readiness: Watchdog["readiness"];
  stop(): Promise<void>;
}

const EVERY_MS = 1_000;
/** A gateway that PostgreSQL has not answered for so long does not serve. */
const LIMIT_MS = 10_000;
const LIMITS = { connectionMs: 2_000, statementMs: 1_000, lockMs: 1_000, answerMs: 2_000 };

/**
 * Asks PostgreSQL for its time every second, over a connection of its own, so that calls that use all other connections
 * do not make the gateway seem dead. `onHealth` is called when that no longer works, and when it does again.
 */
export function startLookingAtDatabase(parts: {
  readonly databaseUrl: string;
  readonly logger: Logger;
  readonly onHealth: (isHealthy: boolean) => void;
}): DatabaseLook {
  const { databaseUrl: connectionString, logger, onHealth } = parts;
  const pool = createPool({
    connectionString,
    max: 1,
    applicationName: "easycron-gateway-health",
    limits: LIMITS,
  });
  const look = async () => {
    await pool.query(clockRead);
    return { more: false };
  };
  const loop = startLoop(look, {
    everyMs: EVERY_MS,
    onFailure: (error, failures) => logger.warn({ err: error, failures }, "PostgreSQL does not answer"),
    onRecovery: (failures) => logger.info({ failures }, "PostgreSQL answers again"),
  });
  const watched: readonly Watched[] = [
    {
      name: "PostgreSQL",
      sinceSuccessMs: loop.sinceSuccessMs,
      limitMs: LIMIT_MS,
      isVital: true,
      waitsFor: pool.oldestUnanswered,
    },
  ];
  const watchdog = startWatchdog({ watched, logger, onHealth });
  return {
    pool,
    watched,
    readiness: watchdog.readiness,
    stop: async () => {
      watchdog.stop();
      await loop.stop();
      await pool.close();
    },
  };
}
