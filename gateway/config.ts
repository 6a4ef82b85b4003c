import {
  addressList,
  databaseUrl,
  findUnknown,
  integer,
  listenAddress,
  oneOf,
  parsed,
  readEnv,
} from "../mesh/config.ts";
import { DENY_NOTHING, parseAllowList, parseDenyList } from "../mesh/egress-address.ts";

const toHash = (text: string) => (/^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, "hex") : undefined);

const spec = {
  /** The public port. */
  listen: listenAddress("EASYCRON_GATEWAY_LISTEN", { default: "127.0.0.1:8080" }),
  /** The database, with a login that has the role of the gateway. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** The largest number of database connections. */
  databaseConnections: integer("EASYCRON_GATEWAY_DATABASE_CONNECTIONS", { default: 8, min: 1, max: 100 }),
  /** The addresses of the schedulers. */
  schedulerAddresses: addressList("EASYCRON_SCHEDULER_ADDRESSES"),
  /** The addresses of the dispatchers. */
  dispatcherAddresses: addressList("EASYCRON_DISPATCHER_ADDRESSES"),
  /** The addresses of plugin delivery. Empty: no plugin is available. */
  pluginsAddresses: addressList("EASYCRON_PLUGINS_ADDRESSES", { default: [] }),
  /** The SHA-256 of the operator's key. */
  operatorKeyHash: parsed(
    "EASYCRON_OPERATOR_KEY_HASH",
    "64 hex digits: the SHA-256 of the operator's key",
    toHash,
    {
      secret: true,
    },
  ),
  /** Whether callers may ask for the services and their definitions, without a key. */
  reflection: oneOf("EASYCRON_GATEWAY_REFLECTION", ["on", "off"], { default: "off" }),
  /** Which API keys this gateway creates: ec_live_… or ec_test_…. It accepts both. */
  keyKind: oneOf("EASYCRON_GATEWAY_API_KEYS", ["live", "test"], { default: "live" }),
  /** Address ranges that webhooks may call although they are not public. */
  egressAllow: parsed("EASYCRON_EGRESS_ALLOW", "address ranges such as 127.0.0.0/8,::1/128", parseAllowList, {
    default: [],
  }),
  /** What webhooks never call although it is public: addresses, ranges and host names, such as our own. */
  egressDeny: parsed(
    "EASYCRON_EGRESS_DENY",
    "addresses, ranges and host names, such as 203.0.113.7,api.acme.io",
    parseDenyList,
    { default: DENY_NOTHING },
  ),
};

/** Reads the configuration. Throws one ConfigError with every problem. */
export function readConfig(env: NodeJS.ProcessEnv) {
  return readEnv(env, spec, findUnknown(env, { room: "gateway", spec }));
}
