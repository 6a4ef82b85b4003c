import { checkMigrated } from "../db/check-migrated.ts";
import { createPool, type Pool } from "../db/pool.ts";
import { measurePools } from "../db/pool-metrics.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { systemClock } from "../mesh/clock.ts";
import { parseHostPort } from "../mesh/config.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { createHealth } from "../mesh/grpc-health.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger } from "../mesh/logger.ts";
import { startOperating } from "../mesh/operating.ts";
import { startWatchdog, type Watchdog, type Watched } from "../mesh/watchdog.ts";
import { readConfig } from "./config.ts";
import { startLookingAtDatabase } from "./database-look.ts";
import { createOnePort } from "./edge/one-port.ts";
import type { PluginParts } from "./plugins/parts.ts";
import { startReconciling } from "./plugins/reconcile.ts";
import { createPublicApi } from "./public-api.ts";

const INNER_DEADLINE_MS = 10_000;
/** A call takes at most INNER_DEADLINE_MS, so each call that has begun is answered. */
const CLOSE_GRACE_MS = INNER_DEADLINE_MS + 1_000;
const CLOSE_LIMIT_MS = CLOSE_GRACE_MS + 3_000;
/** A call is answered within 10 s, also when PostgreSQL does not answer. */
const DATABASE_LIMITS = { connectionMs: 1_000, statementMs: 4_000, lockMs: 2_000, answerMs: 5_000 };
/** For the loop that works on plugins. */
const LOOP_CONNECTIONS = 2;
const LIMITS = { sniffMs: 10_000, headersMs: 10_000, requestMs: 60_000, idleMs: 75_000, maxStreams: 250 };

/** What a test may replace. */
export type Overrides = Partial<Pick<PluginParts, "now" | "onStep">>;

/** Starts a gateway: it listens and serves when the promise resolves. */
export async function build(env: NodeJS.ProcessEnv, overrides: Overrides = {}): Promise<Service> {
  const config = readConfig(env);
  const logger = createLogger("gateway", env);
  const operating = await startOperating({ service: "gateway", env, logger });
  const database = createPool({
    connectionString: config.databaseUrl,
    max: config.databaseConnections,
    applicationName: "easycron-gateway",
    limits: DATABASE_LIMITS,
    onSilent: (silent) => logger.warn(silent, "PostgreSQL does not answer; connecting anew"),
  });
  await checkMigrated(database);
  const scheduler = createGrpcClient(SchedulerService, {
    addresses: config.schedulerAddresses,
    deadlineMs: INNER_DEADLINE_MS,
  });
  const dispatcher = createGrpcClient(DispatcherService, {
    addresses: config.dispatcherAddresses,
    deadlineMs: INNER_DEADLINE_MS,
  });
  const plugins = openPlugins(config, { database, scheduler, logger, ...overrides });
  const health = createHealth();
  const closing = new AbortController();
  const listener = createPublicApi({
    database,
    scheduler,
    dispatcher,
    plugins: plugins?.parts,
    health,
    logger,
    telemetry: operating.telemetry,
    clock: systemClock,
    operatorKeyHash: config.operatorKeyHash,
    keyKind: config.keyKind,
    allow: config.egressAllow,
    deny: config.egressDeny,
    hasReflection: config.reflection === "on",
    shutdownSignal: closing.signal,
  });
  const server = createOnePort(listener, LIMITS);
  const { host, port: wanted } = parseHostPort(config.listen) ?? { host: "127.0.0.1", port: 8080 };
  const port = await server.listen(host, wanted);
  const looking = startLookingAtDatabase({ ...config, logger, onHealth: health.setServing });
  const pools = [["api", database], ["health", looking.pool], ...(plugins?.pools ?? [])] as const;
  measurePools(operating.telemetry.meter, new Map(pools));
  operating.watch([...looking.watched, ...(plugins?.watched ?? [])]);
  health.setServing(true);
  operating.serve(() => {
    const { problems, warnings } = looking.readiness();
    return { problems, warnings: [...warnings, ...(plugins?.readiness().warnings ?? [])] };
  });
  logger.info({ port }, "serving");
  return {
    port,
    closeLimitMs: CLOSE_LIMIT_MS,
    close: async (hurry) => {
      health.setServing(false);
      operating.stopping();
      const stoppedLooking = looking.stop();
      closing.abort();
      await Promise.all([server.close(CLOSE_GRACE_MS, hurry), plugins?.stop(hurry)]);
      plugins?.parts.delivery.close();
      scheduler.close();
      dispatcher.close();
      await stoppedLooking;
      await database.close();
      await operating.close(hurry);
    },
  };
}

interface OpenPlugins {
  readonly parts: PluginParts;
  readonly pools: readonly (readonly [string, Pool])[];
  readonly watched: readonly Watched[];
  readonly readiness: Watchdog["readiness"];
  /** Stops the loop. Calls go on. */
  stop(hurry?: AbortSignal): Promise<void>;
}

/** Connects to plugin delivery, and starts the loop that finishes what is begun. Without addresses there is neither. */
function openPlugins(
  { pluginsAddresses: addresses, databaseUrl: connectionString }: ReturnType<typeof readConfig>,
  given: Overrides & Pick<PluginParts, "database" | "scheduler" | "logger">,
): OpenPlugins | undefined {
  if (addresses.length === 0) return undefined;
  const { database, logger } = given;
  const delivery = createGrpcClient(PluginsService, { addresses, deadlineMs: INNER_DEADLINE_MS });
  const parts: PluginParts = { now: () => null, onStep: () => {}, ...given, delivery };
  // The calls of customers do not wait for the loop. Nothing is connected before a plugin is due.
  const own = createPool({
    connectionString,
    max: LOOP_CONNECTIONS,
    applicationName: "easycron-gateway-plugins",
    limits: DATABASE_LIMITS,
    onSilent: (silent) => logger.warn(silent, "PostgreSQL does not answer; connecting anew"),
  });
  const reconciling = startReconciling({ ...parts, database: own }, database, own.oldestUnanswered);
  // Nothing of a gateway depends on this loop, so it goes on serving. The log says that the loop stands still.
  const watchdog = startWatchdog({ watched: [reconciling.watched], logger, onHealth: () => {} });
  return {
    parts,
    pools: [["plugins", own]],
    watched: [reconciling.watched],
    readiness: watchdog.readiness,
    stop: async (hurry) => {
      watchdog.stop();
      await reconciling.stop(hurry);
      await own.close();
    },
  };
}
