import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { systemClock } from "../mesh/clock.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
import { startOperating } from "../mesh/operating.ts";
import { SERVING } from "../mesh/readiness.ts";
import { type PluginsConfig, readConfig } from "./config.ts";
import type { KafkaSettings } from "./kafka/settings.ts";
import { measureDeliveries } from "./measure-deliveries.ts";
import type { Plugin } from "./plugin.ts";
import { createPluginsService, type Plugins } from "./plugins-service.ts";

const CLOSE_GRACE_MS = 3_000;

/**
 * Starts the plugins service and returns it when it serves. It serves even if a broker does not: DescribePlugins tells.
 * Throws a ConfigError when a variable is not valid.
 */
export async function build(env: NodeJS.ProcessEnv): Promise<Service> {
  const config = readConfig(env);
  const logger = createLogger("plugins", env);
  const operating = await startOperating({ service: "plugins", env, logger });
  const plugins = await createPlugins(config, logger);
  const server = createGrpcServer({ logger, tracer: operating.telemetry.callTracer });
  server.add(PluginsService, createPluginsService(plugins, logger, measureDeliveries(operating.telemetry)));
  const close = async (hurry?: AbortSignal) => {
    await Promise.all([...plugins.values()].map((plugin) => plugin.close()));
    await operating.close(hurry);
  };
  try {
    const port = await server.listen(config.listen);
    server.setServing(true);
    operating.serve(() => SERVING);
    logger.info({ port, plugins: [...plugins.keys()].map(nameOf) }, "serving");
    return {
      port,
      close: async (hurry) => {
        operating.stopping();
        await server.close(CLOSE_GRACE_MS, hurry);
        await close(hurry);
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Makes the plugins that the operator has set up. Only their clients are loaded: that of Kafka alone takes 0.7 s of CPU
 * time and 56 MiB.
 */
async function createPlugins(config: PluginsConfig, logger: Logger): Promise<Plugins> {
  const plugins = new Map<PluginKind, Plugin>();
  if (config.redisUrl !== undefined) {
    const { createRedisPlugin } = await import("./redis/redis.ts");
    plugins.set(
      PluginKind.REDIS,
      createRedisPlugin({
        url: config.redisUrl,
        publicAddress: config.redisPublicAddress,
        connections: config.redisConnections,
        defaultLimits: { maxBytes: config.redisDefaultBytes, maxKeys: config.redisDefaultKeys },
        maxLimits: { maxBytes: config.redisMaxBytes, maxKeys: config.redisMaxKeys },
        logger,
        clock: systemClock,
      }),
    );
  }
  const kafka = toKafkaSettings(config, logger);
  if (kafka !== undefined) {
    const { createKafkaPlugin } = await import("./kafka/kafka.ts");
    plugins.set(PluginKind.KAFKA, createKafkaPlugin(kafka));
  }
  return plugins;
}

function toKafkaSettings(config: PluginsConfig, logger: Logger): KafkaSettings | undefined {
  const { kafkaBrokers: brokers, kafkaUsername: username, kafkaPassword: password } = config;
  if (brokers === undefined || username === undefined || password === undefined) return undefined;
  return {
    brokers,
    username,
    password,
    publicAddress: config.kafkaPublicAddress,
    defaultLimits: {
      maxTopics: config.kafkaDefaultTopics,
      maxPartitions: config.kafkaDefaultPartitions,
      produceBytesPerSecond: BigInt(config.kafkaDefaultProduceBytes),
      consumeBytesPerSecond: BigInt(config.kafkaDefaultConsumeBytes),
      maxPartitionBytes: BigInt(config.kafkaDefaultPartitionBytes),
      maxRetention: durationFromMs(config.kafkaDefaultRetentionMs),
    },
    maxLimits: {
      maxTopics: config.kafkaMaxTopics,
      maxPartitions: config.kafkaMaxPartitions,
      produceBytesPerSecond: BigInt(config.kafkaMaxProduceBytes),
      consumeBytesPerSecond: BigInt(config.kafkaMaxConsumeBytes),
      maxPartitionBytes: BigInt(config.kafkaMaxPartitionBytes),
      maxRetention: durationFromMs(config.kafkaMaxRetentionMs),
    },
    logger,
  };
}

function nameOf(kind: PluginKind): string {
  return kind === PluginKind.REDIS ? "redis" : "kafka";
}
