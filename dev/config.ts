import { resolve } from "node:path";
import { internalRedisUrl } from "../db/internal-redis/url.ts";
import { rolePrefix } from "../db/role-prefix.ts";
import { databaseUrl, integer, listenAddress, oneOf, parsed, readEnv, type Setting } from "../mesh/config.ts";
import { parseAllowList, parseDenyList } from "../mesh/egress-address.ts";
import { printable } from "../mesh/printable.ts";
import { type BrokerName, readArguments } from "./arguments.ts";

/** The four services. */
export const SERVICES = ["gateway", "scheduler", "dispatcher", "plugins"] as const;

/** The name of a service. */
export type ServiceName = (typeof SERVICES)[number];

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

const spec = {
  /** The gateway's port; 0 means any free port. */
  port: integer("EASYCRON_PORT", { default: 8080, min: 0, max: 65_535 }),
  /** The absolute path of the data directory. */
  dataDir: parsed("EASYCRON_DATA_DIR", "a folder", (text) => resolve(text), {
    default: resolve(".easycron"),
  }),
  /**
   * An administrator's connection string to a PostgreSQL of the user's own. Undefined: the embedded PostgreSQL runs.
   */
  databaseUrl: optionalUrl("DATABASE_URL"),
  /**
   * The prefix of the names of the services' roles in PostgreSQL. Undefined: as the database has it, or a new one by the
   * name of the database.
   */
  rolePrefix: rolePrefix("EASYCRON_ROLE_PREFIX"),
  /** Whether the services' roles get their passwords anew, although they exist. */
  resetRolePasswords: oneOf("EASYCRON_RESET_ROLE_PASSWORDS", ["on", "off"], { default: "off" }),
  /** Connection strings of the user's own for the services. Undefined: the service's role with a password of ours. */
  gatewayUrl: optionalUrl("EASYCRON_GATEWAY_DATABASE_URL"),
  schedulerUrl: optionalUrl("EASYCRON_SCHEDULER_DATABASE_URL"),
  dispatcherUrl: optionalUrl("EASYCRON_DISPATCHER_DATABASE_URL"),
  /** The internal Redis of the schedulers and dispatchers. Undefined: each process has its own limits. */
  redisUrl: internalRedisUrl("REDIS_URL"),
  /** Whether a demo receiver and a demo job run. */
  demo: oneOf("EASYCRON_DEMO", ["on", "off"], { default: "on" }),
  /** How many schedulers run. */
  schedulers: integer("EASYCRON_SCHEDULERS", { default: 1, min: 1, max: 16 }),
  /** How many dispatchers run. */
  dispatchers: integer("EASYCRON_DISPATCHERS", { default: 1, min: 1, max: 16 }),
  /** Address ranges that webhooks may reach although they are not public. */
  egressAllow: parsed(
    "EASYCRON_EGRESS_ALLOW",
    "address ranges separated by commas, such as 127.0.0.0/8,::1/128",
    (text) => {
      parseAllowList(text);
      return text;
    },
    { default: "127.0.0.0/8,::1/128" },
  ),
  /** What webhooks never reach although it is public: addresses, ranges and host names. */
  egressDeny: parsed(
    "EASYCRON_EGRESS_DENY",
    "addresses, ranges and host names separated by commas, such as 203.0.113.7,api.acme.io",
    (text) => {
      parseDenyList(text);
      return text;
    },
    { default: "" },
  ),
  /** The address under which receivers reach the gateway. Default: that of its port on this machine. */
  publicUrl: parsed<string | undefined>(
    "EASYCRON_PUBLIC_URL",
    "the gateway's address, such as https://api.example.com",
    (text) => (/^https?:$/.test(new URL(text).protocol) ? text : undefined),
    { default: undefined },
  ),
  /** Where the first process serves metrics and health; each further process takes the next port. Default: nowhere. */
  metricsListen: listenAddress("EASYCRON_METRICS_LISTEN", { default: "" }),
  /** Whether some metrics are kept for each project. */
  metricsByProject: oneOf("EASYCRON_METRICS_BY_PROJECT", ["on", "off"], { default: "off" }),
  /** The lowest level that the services log. */
  logLevel: oneOf("EASYCRON_LOG_LEVEL", LEVELS, { default: "info" }),
};

/** The configuration of `npm start`. */
export type Config = ReturnType<typeof readConfig>;

/**
 * Reads the configuration from the environment and the command line. Throws one ConfigError with every problem.
 * Variables of one service, such as EASYCRON_SCHEDULER_TICK_MS, are passed on to that service, which checks them.
 */
export function readConfig(env: NodeJS.ProcessEnv, args: readonly string[] = []) {
  const { brokers, showsTraces, problems } = readArguments(args);
  const values = readEnv(env, spec, [
    ...problems,
    ...findTwice(env, brokers),
    ...findShared(env),
    ...findUnknown(env),
  ]);
  const serviceEnv = Object.fromEntries(
    SERVICES.map((service) => [service, ownVariables(env, service)]),
  ) as Record<ServiceName, Readonly<Record<string, string>>>;
  return Object.freeze({
    ...values,
    brokers,
    showsTraces,
    serviceEnv,
    telemetryEnv: telemetryVariables(env),
  });
}

/** A connection string of PostgreSQL that need not be set. */
function optionalUrl(variable: string): Setting<string | undefined> {
  return { ...(databaseUrl(variable) as Setting<string | undefined>), default: undefined };
}

function ownVariables(env: NodeJS.ProcessEnv, service: ServiceName): Readonly<Record<string, string>> {
  const prefix = prefixOf(service);
  // The connection string of a service is set here and gets to it as DATABASE_URL.
  const own = Object.entries(env).filter(
    ([name, value]) => name.startsWith(prefix) && name !== `${prefix}DATABASE_URL` && value !== undefined,
  );
  return Object.fromEntries(own) as Record<string, string>;
}

/** Returns the standard variables of OpenTelemetry, which each service reads itself. */
function telemetryVariables(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const own = Object.entries(env).filter(([name, value]) => name.startsWith("OTEL_") && value !== undefined);
  return Object.fromEntries(own) as Record<string, string>;
}

// A broker of the user's own and one of ours cannot both be the plugin's.
function findTwice(env: NodeJS.ProcessEnv, brokers: readonly BrokerName[]): string[] {
  return brokers.flatMap((name) => {
    const prefix = `${prefixOf("plugins")}${name.toUpperCase()}_`;
    const own = ["URL", "BROKERS"].map((part) => prefix + part).find((variable) => env[variable]);
    if (own === undefined) return [];
    return [`${own} is set, and --with ${name} starts another ${name}; leave out one of the two.`];
  });
}

// Customers fill the memory of their Redis, and can stop it.
function findShared({
  REDIS_URL: own,
  EASYCRON_PLUGINS_REDIS_URL: ofCustomers,
}: NodeJS.ProcessEnv): string[] {
  if (!own || !ofCustomers || serverOf(own) !== serverOf(ofCustomers)) return [];
  return [
    "REDIS_URL and EASYCRON_PLUGINS_REDIS_URL name the same server; the internal Redis must be another one than that of " +
      "customers.",
  ];
}

/** Returns host and port of the URL of a Redis, or the text itself if it is no URL. */
function serverOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || "6379"}`;
}

function prefixOf(service: ServiceName): string {
  return `EASYCRON_${service.toUpperCase()}_`;
}

// Variables with addresses of services. The supervisor chooses the addresses, so a user must not set them.
const ADDRESS_VARIABLES = SERVICES.flatMap((service) => [
  `${prefixOf(service)}LISTEN`,
  `${prefixOf(service)}ADDRESSES`,
]);

// Variables that a customer's own programs read, as in the README. They are allowed here and ignored.
const CUSTOMER_VARIABLES = ["EASYCRON_URL", "EASYCRON_API_KEY", "EASYCRON_SIGNING_SECRET"];

function findUnknown(env: NodeJS.ProcessEnv): string[] {
  const known = Object.values(spec).map((setting) => setting.variable);
  const names = Object.keys(env).filter((name) => name.startsWith("EASYCRON_"));
  return names.flatMap((name) => {
    if (ADDRESS_VARIABLES.includes(name))
      return [`${name} is set; npm start chooses the addresses of its services, so unset it.`];
    const isOfService = SERVICES.some((service) => name.startsWith(prefixOf(service)));
    if (known.includes(name) || isOfService || CUSTOMER_VARIABLES.includes(name)) return [];
    return [`${printable(name)} is set, but nothing reads it; npm start reads ${known.join(", ")}.`];
  });
}
