import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { type Clock, systemClock } from "../mesh/clock.ts";
import { createGrpcServer, type GrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
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
import { createWaker, type Waker } from "./waking/waker.ts";

const CACHED_SPEC_BYTES = 128 * 1024 * 1024;
const CROWDED_AT = 20_000;
const CALLS_GRACE_MS = 1_000;
const ATTEMPTS_GRACE_MS = 5_000;
const WAKES_GRACE_MS = 500;

/** What tests replace. */
export interface Overrides {
  readonly clock?: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random?: () => number;
  readonly events?: Events;
}

/** Starts a dispatcher that serves gRPC calls and delivers triggers. */
export async function build(env: NodeJS.ProcessEnv, overrides: Overrides = {}): Promise<Service> {
  const config = readConfig(env);
  const { clock = systemClock, random = Math.random, events = createEvents() } = overrides;
  const logger = createLogger("dispatcher", env);
  logEvents(events, logger);
  const monotonicMs = () => performance.now();
  const pools = createPools(config);
  const { database, claimDatabase, resultDatabase } = pools;
  await ensurePartitions(database, clock.now());
  const { leaseMs } = config;
  const onLost = () => pipeline.forget();
  const leaseDatabase = resultDatabase;
  const lease = await takeLease({ database: leaseDatabase, clock, monotonicMs, leaseMs, events, onLost });
  const masterKey = createMasterKey(config.masterKey);
  const onTrouble = (error: unknown) => events.emit("trouble", { part: "opening a signing key", error });
  const signingKeys = createSigningKeys({ database, masterKey, monotonicMs, onTrouble });
  const clients = createDeliveryClients(config, `EasyCron/${readVersion()}`);
  const { webhook, plugins } = clients;
  const attempt = { webhook, plugins, signingKeys, clock, isOwner: () => lease.isValid() };
  const specs = createSpecCache(database, CACHED_SPEC_BYTES);
  const waker = createWaker({ database: pools.wakeDatabase, clock, random, events, specs });
  const holding = createHolding(CROWDED_AT, waker.ended);
  const limits = toLaneLimits(config);
  const shared = { database, clock, random, events, lease, specs, signingKeys, holding };
  const pipeline = createPipeline({ ...shared, claimDatabase, resultDatabase, attempt, limits });
  const recovery = { ...shared, hold: pipeline.hold };
  const server = createGrpcServer({ logger });
  const closing = { hasBegun: false };
  const renewLease = async () => {
    await lease.renew().finally(() => server.setServing(lease.isValid() && !closing.hasBegun));
    pipeline.proceed();
  };
  const loops = startLoops({ ...shared, leaseMs, recovery, renewLease });
  server.add(DispatcherService, createDispatcherService({ ...recovery, masterKey }));
  const port = await server.listen(config.listen);
  server.setServing(lease.isValid());
  logger.info({ port }, "serving");
  return {
    port,
    close: () => {
      closing.hasBegun = true;
      return close({ server, pipeline, loops, recovery, waker, clients, pools, logger });
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
  readonly waker: Waker;
  readonly clients: DeliveryClients;
  readonly pools: Pools;
  readonly logger: Logger;
}

async function close(parts: RunningParts): Promise<void> {
  const { server, pipeline, loops, recovery, waker, clients, pools, logger } = parts;
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
  await waker.close(WAKES_GRACE_MS);
  await clients.close();
  await pools.close();
}
