import { internalRedisUrl } from "../db/internal-redis/url.ts";
import {
  addressList,
  databaseUrl,
  findUnknown,
  integer,
  listenAddress,
  milliseconds,
  readEnv,
} from "../mesh/config.ts";

const spec = {
  /** The address on which the other services reach this scheduler. */
  listen: listenAddress("EASYCRON_SCHEDULER_LISTEN"),
  /** The database, with a login that has the role of the scheduler. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** The internal Redis, which all schedulers share. Without it each does all housekeeping. */
  redisUrl: internalRedisUrl("REDIS_URL"),
  /** The most database connections for calls. All other work has eight more (pools.ts). */
  databaseConnections: integer("EASYCRON_SCHEDULER_DATABASE_CONNECTIONS", { default: 8, min: 2, max: 100 }),
  /** The addresses of the dispatchers. */
  dispatcherAddresses: addressList("EASYCRON_DISPATCHER_ADDRESSES"),
  /**
   * How far ahead of its effective time a trigger is handed over. A third of it, at most 1,500 ms, is the time that one
   * dispatcher has to confirm a batch (`handOverTimeoutMs`).
   */
  lookAheadMs: milliseconds("EASYCRON_SCHEDULER_LOOK_AHEAD_MS", { default: 5_000, min: 1_000, max: 9_000 }),
  /** After an outage: how many catch-up triggers of one project become due each second. */
  catchupPerSecond: integer("EASYCRON_SCHEDULER_CATCHUP_PER_SECOND", { default: 50, min: 1, max: 100_000 }),
  /** How long a new release of the time zone database is announced before it takes effect. */
  zoneDataNoticeMs: milliseconds("EASYCRON_SCHEDULER_ZONE_DATA_NOTICE_MS", {
    default: 86_400_000,
    min: 0,
    max: 2_592_000_000,
  }),
  /** The pause between two ticks. */
  tickMs: milliseconds("EASYCRON_SCHEDULER_TICK_MS", { default: 250, min: 10, max: 900 }),
};

/** Reads the configuration. Throws one ConfigError that lists every problem. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readEnv(env, spec, findUnknown(env, { room: "scheduler", spec }));
}

/** A scheduler's configuration. */
export type SchedulerConfig = ReturnType<typeof readConfig>;
