import {
  addressList,
  databaseUrl,
  findUnknown,
  integer,
  listenAddress,
  milliseconds,
  parsed,
  readEnv,
} from "../mesh/config.ts";
import { parseAllowList } from "../mesh/egress-address.ts";

const spec = {
  /** Where the mesh reaches this dispatcher. */
  listen: listenAddress("EASYCRON_DISPATCHER_LISTEN"),
  /** The database, under the role easycron_dispatcher. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** Most database connections at once, beside four for claims and two for results and the lease. */
  databaseConnections: integer("EASYCRON_DISPATCHER_DATABASE_CONNECTIONS", { default: 16, min: 4, max: 100 }),
  /** Under which signing keys are sealed. */
  masterKey: parsed("EASYCRON_MASTER_KEY", "32 bytes in base64", parseMasterKey, { secret: true }),
  /** The plugin-delivery services. */
  pluginsAddresses: addressList("EASYCRON_PLUGINS_ADDRESSES"),
  /** Ranges that webhooks may reach although they are not public. */
  egressAllow: parsed(
    "EASYCRON_EGRESS_ALLOW",
    "address ranges, such as 10.1.0.0/16,::1/128",
    parseAllowList,
    {
      default: [],
    },
  ),
  /** After this time without a sign of life others take over what this process holds. */
  leaseMs: milliseconds("EASYCRON_DISPATCHER_LEASE_MS", { default: 5_000, min: 500, max: 60_000 }),
  /** Attempts in flight in all. */
  deliveryConcurrency: integer("EASYCRON_DISPATCHER_DELIVERY_CONCURRENCY", {
    default: 1_024,
    min: 1,
    max: 20_000,
  }),
  /** Attempts in flight from one project to one origin. */
  originConcurrency: integer("EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY", { default: 64, min: 1, max: 1_000 }),
};

/** Reads the configuration; throws one ConfigError with every problem. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readEnv(env, spec, findUnknown(env, { room: "dispatcher", spec }));
}

/** A dispatcher's configuration. */
export type DispatcherConfig = ReturnType<typeof readConfig>;

const KEY_BYTES = 32;

function parseMasterKey(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES && bytes.toString("base64") === text ? bytes : undefined;
}
