import { createPool } from "../db/pool.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { type Clock, systemClock } from "../mesh/clock.ts";
import { createEgressAgent } from "../mesh/egress.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger } from "../mesh/logger.ts";
import { startLoop } from "../mesh/loop.ts";
import { readConfig } from "./config.ts";
import { createPluginDelivery } from "./delivery/plugin-delivery.ts";
import { createSpecCache } from "./delivery/spec-cache.ts";
import { createDispatcherService } from "./dispatcher-service.ts";
import { createEvents, type Events } from "./events/events.ts";
import { logEvents } from "./events/log-events.ts";
import { ensurePartitions, PARTITIONS_EVERY_MS } from "./housekeeping.ts";
import { takeLease } from "./instances/lease.ts";
import { createPipeline } from "./pipeline.ts";
import { releaseAll, sweepOwn, takeOver } from "./recovery/recovery.ts";
import { createMasterKey } from "./signing-keys/sealed-secret.ts";
import { createSigningKeys } from "./signing-keys/signing-keys.ts";
import { readVersion } from "./version.ts";
import { createHolding } from "./waiting/holding.ts";

const CLAIM_CONNECTIONS = 4;
/** One for results, one for the lease. */
const RESULT_CONNECTIONS = 2;
const RESULT_TIMEOUT_MS = 5_000;
const CACHED_SPEC_BYTES = 128 * 1024 * 1024;
const CROWDED_AT = 20_000;
const CONNECT_TIMEOUT_MS = 5_000;
const TAKE_EVERY_MS = 500;
const SWEEP_EVERY_MS = 15_000;
const KEYS_EVERY_MS = 250;
const CALLS_GRACE_MS = 1_000;
const ATTEMPTS_GRACE_MS = 5_000;

/** What tests put in the place of the real thing. */
export interface Overrides {
  readonly clock?: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random?: () => number;
  readonly events?: Events;
}

/** Makes a dispatcher that serves and delivers. */
export async function build(env: NodeJS.ProcessEnv, overrides: Overrides = {}): Promise<Service> {
  const config = readConfig(env);
  const { clock = systemClock, random = Math.random, events = createEvents() } = overrides;
  const logger = createLogger("dispatcher", env);
  logEvents(events, logger);
  const monotonicMs = () => performance.now();
  const database = createPool({
    connectionString: config.databaseUrl,
    max: config.databaseConnections,
    applicationName: "easycron-dispatcher",
  });
  // A claim that a crash of PostgreSQL undoes is made again, and its trigger delivered again under the same id: it need
  // not wait for the disk, which everything that is due would wait for with it.
  const claimDatabase = createPool({
    connectionString: config.databaseUrl,
    max: CLAIM_CONNECTIONS,
    applicationName: "easycron-dispatcher-claims",
    answersBeforeDisk: true,
  });
  // Results and the lease wait for no read and no claim: what is delivered and not recorded is delivered again.
  const resultDatabase = createPool({
    connectionString: config.databaseUrl,
    max: RESULT_CONNECTIONS,
    applicationName: "easycron-dispatcher-results",
    statementTimeoutMs: RESULT_TIMEOUT_MS,
  });
  await ensurePartitions(database, clock.now());
  const { leaseMs } = config;
  const onLost = () => pipeline.forget();
  const lease = await takeLease({
    database: resultDatabase,
    clock,
    monotonicMs,
    leaseMs,
    events,
    onLost,
  });
  const masterKey = createMasterKey(config.masterKey);
  const onTrouble = (error: unknown) => events.emit("trouble", { part: "opening a signing key", error });
  const signingKeys = createSigningKeys({ database, masterKey, monotonicMs, onTrouble });
  const agent = createEgressAgent({
    allow: config.egressAllow,
    // Lanes limit what one project does to an origin; projects that share an origin do not wait for one another.
    connectionsPerOrigin: config.deliveryConcurrency,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  const plugins = createGrpcClient(PluginsService, {
    addresses: config.pluginsAddresses,
    deadlineMs: 30_000,
  });
  const webhook = { agent, userAgent: `EasyCron/${readVersion()}` };
  const specs = createSpecCache(database, CACHED_SPEC_BYTES);
  const holding = createHolding(CROWDED_AT);
  const isOwner = () => lease.isValid();
  const attempt = { webhook, plugins: createPluginDelivery(plugins), signingKeys, clock, isOwner };
  const limits = {
    total: config.deliveryConcurrency,
    perLane: config.originConcurrency,
    claimedPerLane: 16 * config.originConcurrency,
    claimedTotal: 4 * config.deliveryConcurrency,
  };
  const parts = {
    database,
    claimDatabase,
    resultDatabase,
    clock,
    random,
    events,
    lease,
    specs,
    signingKeys,
    holding,
    attempt,
    limits,
  };
  const pipeline = createPipeline(parts);
  const recovery = { ...parts, hold: pipeline.hold };
  const server = createGrpcServer({ logger });
  let isClosing = false;
  const renew = async () => {
    await lease.renew().finally(() => server.setServing(lease.isValid() && !isClosing));
    pipeline.proceed();
  };
  const every = (everyMs: number, part: string, work: () => Promise<void>) =>
    startLoop(() => work().then(() => ({ more: false })), {
      everyMs,
      onFailure: (error) => events.emit("trouble", { part, error }),
      onRecovery: (failures) => events.emit("recovered", { part, failures }),
    });
  const upkeep = [
    every(leaseMs / 5, "lease", renew),
    every(KEYS_EVERY_MS, "signing keys", () => signingKeys.refresh()),
  ];
  const takings = [
    every(TAKE_EVERY_MS, "taking over", () => takeOver(recovery)),
    every(SWEEP_EVERY_MS, "sweep", () => sweepOwn(recovery)),
    every(PARTITIONS_EVERY_MS, "partitions", () => ensurePartitions(database, clock.now())),
  ];
  server.add(DispatcherService, createDispatcherService({ ...recovery, masterKey }));
  const port = await server.listen(config.listen);
  server.setServing(lease.isValid());
  logger.info({ port }, "serving");
  return {
    port,
    close: async () => {
      isClosing = true;
      // The lease is kept until nothing is in flight any more.
      const stopped = takings.map((loop) => loop.stop());
      await Promise.all([server.close(CALLS_GRACE_MS), pipeline.stop(ATTEMPTS_GRACE_MS), ...stopped]);
      await Promise.all(upkeep.map((loop) => loop.stop()));
      // Without the database others free it, once the lease has run out.
      await releaseAll(recovery, lease.instance).catch((error: unknown) =>
        logger.warn({ err: error }, "could not release what is held"),
      );
      await agent.destroy();
      plugins.close();
      await resultDatabase.close();
      await claimDatabase.close();
      await database.close();
    },
  };
}
