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
  /** Where the mesh reaches this scheduler. */
  listen: listenAddress("EASYCRON_SCHEDULER_LISTEN"),
  /** The database, under the role easycron_scheduler. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** Most database connections at once. */
  databaseConnections: integer("EASYCRON_SCHEDULER_DATABASE_CONNECTIONS", { default: 8, min: 2, max: 100 }),
  /** The dispatchers. */
  dispatcherAddresses: addressList("EASYCRON_DISPATCHER_ADDRESSES"),
  /** How far ahead of its fire time a trigger is handed over. */
  lookAheadMs: milliseconds("EASYCRON_SCHEDULER_LOOK_AHEAD_MS", { default: 5_000, min: 1_000, max: 9_000 }),
  /** How many triggers of one project are made up for in a second after an outage. */
  catchupPerSecond: integer("EASYCRON_SCHEDULER_CATCHUP_PER_SECOND", { default: 50, min: 1, max: 100_000 }),
  /** How long a new release of the time zone database is only reported on before it takes effect. */
  zoneDataNoticeMs: milliseconds("EASYCRON_SCHEDULER_ZONE_DATA_NOTICE_MS", {
    default: 86_400_000,
    min: 0,
    max: 2_592_000_000,
  }),
  /** Pause between two looks at what is due. */
  tickMs: milliseconds("EASYCRON_SCHEDULER_TICK_MS", { default: 250, min: 10, max: 900 }),
};

/** Reads the configuration; throws one ConfigError with every problem. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readEnv(env, spec, findUnknown(env, { room: "scheduler", spec }));
}
