import { internalRedisUrl } from "../db/internal-redis/url.ts";
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
import { DENY_NOTHING, parseAllowList, parseDenyList } from "../mesh/egress-address.ts";

const spec = {
  /** The address on which this dispatcher serves gRPC calls of the other services. */
  listen: listenAddress("EASYCRON_DISPATCHER_LISTEN"),
  /** The database, with a login that has the role of the dispatcher. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** The internal Redis, which all dispatchers share. Without it each has its own limits. */
  redisUrl: internalRedisUrl("REDIS_URL"),
  /** Most database connections for calls of customers. All other work has 25 more (pools.ts). */
  databaseConnections: integer("EASYCRON_DISPATCHER_DATABASE_CONNECTIONS", { default: 8, min: 2, max: 100 }),
  /** The key that encrypts the data keys, which encrypt the signing keys. */
  masterKey: parsed("EASYCRON_MASTER_KEY", "32 bytes in base64", parseMasterKey, { secret: true }),
  /** The key that it replaces, while it does. */
  previousMasterKey: parsed<Buffer | undefined>(
    "EASYCRON_PREVIOUS_MASTER_KEY",
    "32 bytes in base64",
    parseMasterKey,
    { default: undefined, secret: true },
  ),
  /** The addresses of the plugin-delivery services. Empty: no plugin is delivered to. */
  pluginsAddresses: addressList("EASYCRON_PLUGINS_ADDRESSES", { default: [] }),
  /** Address ranges that webhooks may reach although they are not public. */
  egressAllow: parsed(
    "EASYCRON_EGRESS_ALLOW",
    "address ranges, such as 10.1.0.0/16,::1/128",
    parseAllowList,
    {
      default: [],
    },
  ),
  /** What webhooks never reach although it is public: addresses, ranges and host names, such as our own. */
  egressDeny: parsed(
    "EASYCRON_EGRESS_DENY",
    "addresses, ranges and host names, such as 203.0.113.7,api.acme.io",
    parseDenyList,
    { default: DENY_NOTHING },
  ),
  /** The address under which receivers reach the gateway, for the header easycron-ack-url. Default: no such header. */
  publicUrl: parsed<string | undefined>(
    "EASYCRON_PUBLIC_URL",
    "the gateway's address, such as https://api.example.com",
    parsePublicUrl,
    { default: undefined },
  ),
  /** Other dispatchers take over the triggers of this process when it has not renewed its lease for this long. */
  leaseMs: milliseconds("EASYCRON_DISPATCHER_LEASE_MS", { default: 5_000, min: 500, max: 60_000 }),
  /** When the process is told to stop: how long it waits for attempts in flight. It gives up everything else at once. */
  drainMs: milliseconds("EASYCRON_DISPATCHER_DRAIN_MS", { default: 25_000, min: 0, max: 600_000 }),
  /** A snapshot of PostgreSQL that is held for longer is logged. */
  snapshotAlertMs: milliseconds("EASYCRON_DISPATCHER_SNAPSHOT_ALERT_MS", {
    default: 300_000,
    min: 1_000,
    max: 86_400_000,
  }),
  /**
   * Most attempts in flight in all. An attempt that waits for its answer uses a socket and some memory, but no CPU time,
   * so the default leaves room for 1,000 projects with eight hung requests each.
   */
  deliveryConcurrency: integer("EASYCRON_DISPATCHER_DELIVERY_CONCURRENCY", {
    default: 8_192,
    min: 1,
    max: 65_536,
  }),
  /** Most attempts in flight from one project to one origin. */
  originConcurrency: integer("EASYCRON_DISPATCHER_ORIGIN_CONCURRENCY", { default: 64, min: 1, max: 1_000 }),
  /** Most idle connections to endpoints. Measured: 116 KiB of memory for each with HTTPS, 22 KiB with HTTP. */
  idleConnections: integer("EASYCRON_DISPATCHER_IDLE_CONNECTIONS", { default: 1_024, min: 1, max: 65_536 }),
};

/** Reads the configuration. Throws one ConfigError that lists every problem. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readEnv(env, spec, findUnknown(env, { room: "dispatcher", spec }));
}

/** A dispatcher's configuration. */
export type DispatcherConfig = ReturnType<typeof readConfig>;

function parsePublicUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined;
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

const KEY_BYTES = 32;

function parseMasterKey(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES && bytes.toString("base64") === text ? bytes : undefined;
}
