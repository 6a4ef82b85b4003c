import {
  addressList,
  ConfigError,
  findUnknown,
  integer,
  listenAddress,
  milliseconds,
  parsed,
  parseHostPort,
  readEnv,
  type Setting,
} from "../mesh/config.ts";

const MIB = 1024 ** 2;
const TIB = 1024 ** 4;

/** A setting that is a whole number from 1 to `max`. */
const count = (variable: string, max: number, value: number) =>
  integer(variable, { min: 1, max, default: value });

/** A setting that may be left out. */
const optional = <T>(setting: Setting<T>): Setting<T | undefined> => ({ ...setting, default: undefined });

const redisUrl = (variable: string) =>
  parsed(
    variable,
    "redis://user:password@host:port or rediss://…, of an administrator, without a database or options",
    (text) => {
      const { protocol, hostname, pathname, search, hash } = new URL(text);
      // Customers can use database 0 only. Options would replace ours in ioredis.
      const isPlain = /^\/?0?$/.test(pathname) && search === "" && hash === "";
      return /^rediss?:$/.test(protocol) && hostname !== "" && isPlain ? text : undefined;
    },
    { secret: true },
  );

/** A setting that is shown to customers as the place to connect to. */
const publicAddress = (variable: string) =>
  parsed(variable, "host:port, or several separated by commas", (text) => {
    const parts = text.split(",").map((part) => part.trim());
    const isAddress = (part: string) => (parseHostPort(part)?.port ?? 0) > 0;
    return parts.every(isAddress) ? parts.join(",") : undefined;
  });

const secretText = (variable: string) =>
  parsed(variable, "1 to 256 characters", (text) => (text.length <= 256 ? text : undefined), {
    secret: true,
  });

const spec = {
  /** The address on which the dispatcher and the gateway call this service. */
  listen: listenAddress("EASYCRON_PLUGINS_LISTEN"),

  /** The managed Redis, with an administrator's credentials. Without it there is no Redis plugin. */
  redisUrl: optional(redisUrl("EASYCRON_PLUGINS_REDIS_URL")),
  /** Where customers connect to. Without it: host and port of the URL. */
  redisPublicAddress: optional(publicAddress("EASYCRON_PLUGINS_REDIS_PUBLIC_ADDRESS")),
  /** How many connections write messages. */
  redisConnections: count("EASYCRON_PLUGINS_REDIS_CONNECTIONS", 64, 4),
  redisDefaultBytes: count("EASYCRON_PLUGINS_REDIS_DEFAULT_BYTES", TIB, 64 * MIB),
  redisMaxBytes: count("EASYCRON_PLUGINS_REDIS_MAX_BYTES", TIB, 1024 * MIB),
  redisDefaultKeys: count("EASYCRON_PLUGINS_REDIS_DEFAULT_KEYS", 1e9, 100_000),
  redisMaxKeys: count("EASYCRON_PLUGINS_REDIS_MAX_KEYS", 1e9, 10_000_000),

  /** The managed Kafka. Without it there is no Kafka plugin. */
  kafkaBrokers: optional(addressList("EASYCRON_PLUGINS_KAFKA_BROKERS")),
  kafkaUsername: optional(secretText("EASYCRON_PLUGINS_KAFKA_USERNAME")),
  kafkaPassword: optional(secretText("EASYCRON_PLUGINS_KAFKA_PASSWORD")),
  /** Where customers connect to. Without it: the brokers. */
  kafkaPublicAddress: optional(publicAddress("EASYCRON_PLUGINS_KAFKA_PUBLIC_ADDRESS")),
  kafkaDefaultTopics: count("EASYCRON_PLUGINS_KAFKA_DEFAULT_TOPICS", 10_000, 20),
  kafkaMaxTopics: count("EASYCRON_PLUGINS_KAFKA_MAX_TOPICS", 10_000, 200),
  kafkaDefaultPartitions: count("EASYCRON_PLUGINS_KAFKA_DEFAULT_PARTITIONS", 10_000, 12),
  kafkaMaxPartitions: count("EASYCRON_PLUGINS_KAFKA_MAX_PARTITIONS", 10_000, 100),
  kafkaDefaultProduceBytes: count("EASYCRON_PLUGINS_KAFKA_DEFAULT_PRODUCE_BYTES_PER_SECOND", TIB, MIB),
  kafkaMaxProduceBytes: count("EASYCRON_PLUGINS_KAFKA_MAX_PRODUCE_BYTES_PER_SECOND", TIB, 50 * MIB),
  kafkaDefaultConsumeBytes: count("EASYCRON_PLUGINS_KAFKA_DEFAULT_CONSUME_BYTES_PER_SECOND", TIB, 5 * MIB),
  kafkaMaxConsumeBytes: count("EASYCRON_PLUGINS_KAFKA_MAX_CONSUME_BYTES_PER_SECOND", TIB, 100 * MIB),
  kafkaDefaultPartitionBytes: count("EASYCRON_PLUGINS_KAFKA_DEFAULT_PARTITION_BYTES", TIB, 256 * MIB),
  kafkaMaxPartitionBytes: count("EASYCRON_PLUGINS_KAFKA_MAX_PARTITION_BYTES", TIB, 10_240 * MIB),
  kafkaDefaultRetentionMs: milliseconds("EASYCRON_PLUGINS_KAFKA_DEFAULT_RETENTION_MS", {
    min: 1_000,
    max: 366 * 86_400_000,
    default: 7 * 86_400_000,
  }),
  kafkaMaxRetentionMs: milliseconds("EASYCRON_PLUGINS_KAFKA_MAX_RETENTION_MS", {
    min: 1_000,
    max: 366 * 86_400_000,
    default: 30 * 86_400_000,
  }),
};

/** The configuration of this service. */
export type PluginsConfig = ReturnType<typeof readConfig>;

/** Secrets of the control plane. This process talks to the brokers of customers, so it must not have them. */
const FORBIDDEN = [
  "DATABASE_URL",
  "REDIS_URL",
  "EASYCRON_MASTER_KEY",
  "EASYCRON_PREVIOUS_MASTER_KEY",
  "EASYCRON_OPERATOR_KEY_HASH",
  "EASYCRON_GATEWAY_DATABASE_URL",
  "EASYCRON_SCHEDULER_DATABASE_URL",
  "EASYCRON_DISPATCHER_DATABASE_URL",
];

/** A default and the maximum that it must not exceed. */
const PAIRS = [
  ["redisDefaultBytes", "redisMaxBytes"],
  ["redisDefaultKeys", "redisMaxKeys"],
  ["kafkaDefaultTopics", "kafkaMaxTopics"],
  ["kafkaDefaultPartitions", "kafkaMaxPartitions"],
  ["kafkaDefaultProduceBytes", "kafkaMaxProduceBytes"],
  ["kafkaDefaultConsumeBytes", "kafkaMaxConsumeBytes"],
  ["kafkaDefaultPartitionBytes", "kafkaMaxPartitionBytes"],
  ["kafkaDefaultRetentionMs", "kafkaMaxRetentionMs"],
] as const;

const KAFKA_LOGIN = ["kafkaBrokers", "kafkaUsername", "kafkaPassword"] as const;

/** Reads the configuration. Throws one ConfigError with every problem; a secret of the control plane is one. */
export function readConfig(env: NodeJS.ProcessEnv) {
  const seen = FORBIDDEN.filter((name) => env[name] !== undefined);
  if (seen.length > 0) {
    throw new ConfigError(
      seen.map(
        (name) =>
          `${name} is set; it is a secret of the control plane, so do not give it to the plugins service.`,
      ),
    );
  }
  const config = readEnv(env, spec, findUnknown(env, { room: "plugins", spec }));
  const problems = PAIRS.filter(([least, most]) => config[least] > config[most]).map(
    ([least, most]) =>
      `${spec[least].variable} is ${config[least]}; it must not be more than ${spec[most].variable}, which is ${config[most]}.`,
  );
  const given = KAFKA_LOGIN.filter((name) => config[name] !== undefined);
  if (given.length > 0 && given.length < KAFKA_LOGIN.length) {
    const missing = KAFKA_LOGIN.filter((name) => config[name] === undefined);
    problems.push(
      `${missing.map((name) => spec[name].variable).join(" and ")} must be set, because ` +
        `${given.map((name) => spec[name].variable).join(" and ")} is set.`,
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}
