import { type DatabaseClock, startDatabaseClock } from "../db/database-clock.ts";
import type { SilentPool } from "../db/pool-group.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import { createGrpcServer, type GrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
import { startWatchdog } from "../mesh/watchdog.ts";
import { type DispatcherConfig, readConfig } from "./config.ts";
import { createDeliveryClients, type DeliveryClients } from "./delivery/clients.ts";
import { createSpecCache } from "./delivery/spec-cache.ts";
import { createDispatcherService } from "./dispatcher-service.ts";
import { createEvents, type Events } from "./events/events.ts";
import { logEvents } from "./events/log-events.ts";
import { ensurePartitions } from "./housekeeping.ts";
import { takeLease } from "./instances/lease.ts";
import type { LaneLimits } from "./lanes/lanes.ts";
import { type Loops, startLoops } from "./loops.ts";
import { createPipeline, type Pipeline } from "./pipeline.ts";
import { createPools, type Pools } from "./pools.ts";
import { type RecoveryParts, releaseAll } from "./recovery/recovery.ts";
import { createMasterKey } from "./signing-keys/sealed-secret.ts";
import { createSigningKeys } from "./signing-keys/signing-keys.ts";
import { readVersion } from "./version.ts";
import { createHolding } from "./waiting/holding.ts";

const CACHED_SPEC_BYTES = 128 * 1024 * 1024;
const CROWDED_AT = 20_000;
const CALLS_GRACE_MS = 1_000;
const ATTEMPTS_GRACE_MS = 5_000;

/** What tests replace. */
export interface Overrides {
  /** Default: PostgreSQL's clock. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random?: () => number;
  readonly events?: Events;
}

/** Starts a dispatcher that serves gRPC calls and delivers triggers. */
export async function build(env: NodeJS.ProcessEnv, overrides: Overrides = {}): Promise<Service> {
  const config = readConfig(env);
  const { random = Math.random, events = createEvents() } = overrides;
  const logger = createLogger("dispatcher", env);
  logEvents(events, logger);
  const monotonicMs = () => performance.now();
  const onSilent = (silent: SilentPool) => logger.warn(silent, "PostgreSQL does not answer; connecting anew");
  const pools = createPools(config, onSilent);
  const databaseClock = await startDatabaseClock({ database: pools.clock, logger });
  const clock = overrides.clock ?? databaseClock;
  await ensurePartitions(pools.upkeep, clock.now());
  const { leaseMs } = config;
  const onLost = () => pipeline.forget();
  const lease = await takeLease({ database: pools.lease, clock, monotonicMs, leaseMs, events, onLost });
  const masterKey = createMasterKey(config.masterKey);
  const onTrouble = (error: unknown) => events.emit("trouble", { part: "opening a signing key", error });
  const signingKeys = createSigningKeys({ database: pools.lookups, masterKey, monotonicMs, onTrouble });
  const clients = createDeliveryClients(config, `EasyCron/${readVersion()}`);
  const { webhook, plugins } = clients;
  const attempt = { webhook, plugins, signingKeys, clock, isOwner: () => lease.isValid() };
  const specs = createSpecCache(pools.lookups, CACHED_SPEC_BYTES);
  const holding = createHolding(CROWDED_AT);
  const limits = toLaneLimits(config);
  const shared = { clock, random, events, lease, specs, signingKeys, holding };
  const { claims: claimDatabase, results: resultDatabase } = pools;
  const databases = { database: resultDatabase, claimDatabase, resultDatabase };
  const pipeline = createPipeline({ ...shared, ...databases, attempt, limits });
  const recovery = { ...shared, database: pools.upkeep, hold: pipeline.hold };
  const server = createGrpcServer({ logger });
  const health = { isClosing: false, isStalled: false };
  const showHealth = () => server.setServing(lease.isValid() && !health.isStalled && !health.isClosing);
  const renewLease = async () => {
    await lease.renew().finally(showHealth);
    pipeline.proceed();
  };
  const loops = startLoops({ ...shared, pools, leaseMs, recovery, renewLease });
  const onHealth = (isHealthy: boolean) => {
    health.isStalled = !isHealthy;
    showHealth();
  };
  const watchdog = startWatchdog({ watched: loops.watched, logger, onHealth });
  const serving = { ...recovery, database: pools.accept, apiDatabase: pools.api, masterKey };
  server.add(DispatcherService, createDispatcherService(serving));
  const port = await server.listen(config.listen);
  showHealth();
  logger.info({ port }, "serving");
  return {
    port,
    close: () => {
      health.isClosing = true;
      watchdog.stop();
      return close({ server, pipeline, loops, recovery, clients, databaseClock, pools, logger });
    },
  };
}

function toLaneLimits(config: DispatcherConfig): LaneLimits {
  return {
    total: config.deliveryConcurrency,
    perLane: config.originConcurrency,
    claimedPerLane: 16 * config.originConcurrency,
    claimedTotal: 4 * config.deliveryConcurrency,
  };
}

interface RunningParts {
  readonly server: GrpcServer;
  readonly pipeline: Pipeline;
  readonly loops: Loops;
  readonly recovery: RecoveryParts;
  readonly clients: DeliveryClients;
  readonly databaseClock: DatabaseClock;
  readonly pools: Pools;
  readonly logger: Logger;
}

async function close(parts: RunningParts): Promise<void> {
  const { server, pipeline, loops, recovery, clients, databaseClock, pools, logger } = parts;
  const stopTaking = loops.stopTaking();
  await Promise.all([server.close(CALLS_GRACE_MS), pipeline.stop(ATTEMPTS_GRACE_MS), stopTaking]);
  // The lease is renewed until nothing is in flight any more.
  await loops.stopUpkeep();
  // If the database is away, other dispatchers release these triggers when the lease has run out.
  await releaseAll(recovery, recovery.lease.instance).catch((error: unknown) =>
    logger.warn(
      { err: error },
      "could not release the triggers of this dispatcher; others take them over when its lease runs out",
    ),
  );
  await clients.close();
  await databaseClock.stop();
  await pools.close();
}
