import { checkMigrated } from "../db/check-migrated.ts";
import { type DatabaseClock, startDatabaseClock } from "../db/database-clock.ts";
import { openSharing, type Sharing } from "../db/internal-redis/sharing.ts";
import type { SilentPool } from "../db/pool-group.ts";
import { measurePools } from "../db/pool-metrics.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import { ConfigError } from "../mesh/config.ts";
import { toRangeTexts } from "../mesh/egress-address.ts";
import type { FullScan } from "../mesh/full-scan.ts";
import { createGrpcServer, type GrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
import { type Operating, startOperating } from "../mesh/operating.ts";
import { createTriggerTracer } from "../mesh/trigger-tracer.ts";
import { startWatchdog, type Watched } from "../mesh/watchdog.ts";
import { createAccessTokens } from "./access-tokens/access-tokens.ts";
import { fetchToken } from "./access-tokens/fetch-token.ts";
import { failOverdue } from "./acknowledging/fail-accepted.ts";
import { lookAtJobs } from "./alerts/look.ts";
import { type AlertSender, createAlertSender, deleteOldAlerts } from "./alerts/send.ts";
import { toDueLimits } from "./claiming/due-lanes.ts";
import { createComparison } from "./comparing/compare.ts";
import { readConfig } from "./config.ts";
import { createDeliveryClients, type DeliveryClients } from "./delivery/clients.ts";
import { explainUnsent } from "./delivery/failure-words.ts";
import { createSpecCache } from "./delivery/spec-cache.ts";
import { createDispatcherService } from "./dispatcher-service.ts";
import { createEvents, type Events } from "./events/events.ts";
import { logEvents } from "./events/log-events.ts";
import type { FlowStore } from "./flow/flow-store.ts";
import { createLocalFlowStore } from "./flow/local-flow-store.ts";
import { createRedisFlowStore } from "./flow/redis-flow-store.ts";
import { createPartitions, createSnapshotWatch } from "./housekeeping.ts";
import { takeLease } from "./instances/lease.ts";
import { type Loops, startLoops } from "./loops.ts";
import { createBacklogWatch } from "./measuring/backlog.ts";
import { measureEvents } from "./measuring/measure-events.ts";
import { measureWork } from "./measuring/measure-work.ts";
import { attemptsFor, idleConnectionsFor, readLimits } from "./open-files.ts";
import { createPipeline, type Pipeline } from "./pipeline.ts";
import { createPools, type Pools } from "./pools.ts";
import { createLeftOut } from "./recovery/left-out.ts";
import { type RecoveryParts, releaseAll } from "./recovery/recovery.ts";
import { createRetention } from "./retention/retention.ts";
import { createSetAside } from "./set-aside/set-aside.ts";
import { checkMasterKeys, checkRecordedMasterKey } from "./signing-keys/master-key.ts";
import { createMasterKeys } from "./signing-keys/master-keys.ts";
import { createMasterKeyReplacement } from "./signing-keys/replace-master-key.ts";
import { createSigningKeys } from "./signing-keys/signing-keys.ts";
import { createTargetSecrets } from "./target-secrets/target-secrets.ts";
import { createTokenKeys } from "./tokens/token-keys.ts";
import { createTriggerTraces } from "./tracing/trigger-traces.ts";
import { readVersion } from "./version.ts";
import { HELD_LIMITS } from "./waiting/held-bytes.ts";
import { createHolding } from "./waiting/holding.ts";
import { createWaker, type Waker } from "./waking/waker.ts";
import { createRevisionCache } from "./watching/revision-cache.ts";

const CACHED_SPEC_BYTES = 128 * 1024 * 1024;
const CACHED_SECRET_BYTES = 32 * 1024 * 1024;
const CACHED_TOKEN_BYTES = 16 * 1024 * 1024;
const CALLS_GRACE_MS = 1_000;
/** Time for everything else than waiting for attempts in flight. */
const CLOSE_EXTRA_MS = 8_000;
const WAKES_GRACE_MS = 500;
const ALERTS_GRACE_MS = 2_000;
const CLOCK_LIMIT_MS = 10_000;
const LEASE_LOST = "The lease has run out and is not renewed.";

/** What tests replace. */
export interface Overrides {
  /** Default: PostgreSQL's clock. */
  readonly clock?: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random?: () => number;
  readonly events?: Events;
  /** Ends the process, which cannot go on. Default: throws the error where nothing catches it, see `runService`. */
  readonly endProcess?: (error: ConfigError) => void;
}

function throwUncaught(error: ConfigError): void {
  setImmediate(() => {
    throw error;
  });
}

/** Starts a dispatcher that serves gRPC calls and delivers triggers. */
export async function build(env: NodeJS.ProcessEnv, overrides: Overrides = {}): Promise<Service> {
  const config = readConfig(env);
  const { random = Math.random, events = createEvents(), endProcess = throwUncaught } = overrides;
  const logger = createLogger("dispatcher", env);
  logEvents(events, logger);
  const operating = await startOperating({ service: "dispatcher", env, logger });
  const { telemetry } = operating;
  const triggerTracer = createTriggerTracer(telemetry);
  const metrics = measureEvents(events, telemetry);
  const monotonicMs = () => performance.now();
  const onSilent = (silent: SilentPool) => logger.warn(silent, "PostgreSQL does not answer; connecting anew");
  const pools = createPools(config, onSilent);
  measurePools(telemetry.meter, pools.byName);
  await checkMigrated(pools.clock);
  const masterKeys = createMasterKeys(config.masterKey, config.previousMasterKey);
  const masterKeyId = masterKeys.wanted.id;
  await checkMasterKeys({ database: pools.lookups, masterKeys, logger });
  const databaseClock = await startDatabaseClock({ database: pools.clock, logger });
  const clock = overrides.clock ?? databaseClock;
  const upkeep = { database: pools.upkeep, clock, events };
  const partitions = createPartitions(upkeep);
  await partitions.makeFirst();
  const { leaseMs } = config;
  const onLost = () => pipeline.forget();
  const checkMasterKey = () => checkRecordedMasterKey({ database: pools.lease, masterKeys });
  const leasing = { clock, monotonicMs, leaseMs, masterKeyId, checkMasterKey, events, onLost };
  const lease = await takeLease({ ...leasing, database: pools.lease });
  const onTrouble = (error: unknown) => events.emit("trouble", { part: "opening a signing key", error });
  const opening = { masterKeys, clock, monotonicMs, logger, onTrouble };
  const signingKeys = createSigningKeys({ ...opening, database: pools.lookups });
  const replaceMasterKey = createMasterKeyReplacement({ ...opening, database: pools.upkeep });
  const openFiles = readLimits();
  const deliveryConcurrency = attemptsFor(config.deliveryConcurrency, openFiles);
  if (deliveryConcurrency < config.deliveryConcurrency) {
    const fields = { configured: config.deliveryConcurrency, used: deliveryConcurrency };
    logger.warn(fields, "the limit of open files is too low for the attempts in flight that are configured");
  }
  const idleConnections = idleConnectionsFor(config.idleConnections, deliveryConcurrency, openFiles);
  const clients = createDeliveryClients({ ...config, idleConnections }, `EasyCron/${readVersion()}`, {
    onFailed: (plugin, error) => events.emit("trouble", { part: `delivery to ${plugin}`, error }),
    onRecovered: (plugin, failures) => events.emit("recovered", { part: `delivery to ${plugin}`, failures }),
  });
  if (config.egressAllow.length > 0) {
    const ranges = toRangeTexts(config.egressAllow);
    logger.warn(
      { ranges },
      "webhooks may reach addresses that are not public, as EASYCRON_EGRESS_ALLOW says",
    );
  }
  const { certificates, plugins } = clients;
  const webhook = { ...clients.webhook, traceparentOf: triggerTracer.traceparentOf };
  const targetSecrets = createTargetSecrets({ masterKeys, database: pools.secrets }, CACHED_SECRET_BYTES);
  const onNoSecret = (error: unknown) => events.emit("trouble", { part: "reading a target's secret", error });
  const asking = { agent: webhook.freshAgent, userAgent: webhook.userAgent, explainUnsent };
  const accessTokens = createAccessTokens({
    fetch: (client, secret) => fetchToken(asking, client, secret),
    monotonicMs,
    maxBytes: CACHED_TOKEN_BYTES,
  });
  const secrets = { signingKeys, targetSecrets, accessTokens, onTrouble: onNoSecret };
  const tokenKeys = createTokenKeys({ masterKeys, database: pools.secrets });
  const acknowledgement = { tokenKeys, publicUrl: config.publicUrl };
  const isOwner = () => lease.isValid();
  const attempt = { webhook, certificates, plugins, ...secrets, acknowledgement, clock, isOwner };
  const traces = createTriggerTraces(triggerTracer, clock);
  const specs = createSpecCache(pools.lookups, CACHED_SPEC_BYTES);
  const waker = createWaker({ database: pools.wakes, clock, random, events, specs });
  const holding = createHolding(HELD_LIMITS, waker.ended);
  const limits = toDueLimits({ ...config, deliveryConcurrency });
  const setAside = createSetAside({ database: pools.upkeep, clock, events });
  const shared = { clock, random, events, lease, specs, signingKeys, holding, setAside };
  const { claims: claimDatabase, results: resultDatabase } = pools;
  const databases = { database: resultDatabase, claimDatabase, resultDatabase };
  const sharing = openSharing({ url: config.redisUrl, service: "dispatcher", logger });
  const { redis, leadership } = sharing;
  const flowStore = redis === undefined ? createLocalFlowStore() : createRedisFlowStore({ redis });
  const pipeline = createPipeline({ ...shared, ...databases, attempt, limits, flowStore, traces });
  measureWork(metrics, { count: pipeline.count, holding, lease });
  const health = { isClosing: false, isStalled: false };
  const mayTake = () => !health.isClosing;
  const leftOut = createLeftOut({ clock, setAside });
  const taking = { hold: pipeline.hold, mayTake, leftOut, onEnded: waker.ended };
  const recovery = { ...shared, ...taking, database: pools.upkeep };
  const server = createGrpcServer({ logger, tracer: telemetry.callTracer });
  const showHealth = () => server.setServing(lease.isValid() && !health.isStalled && !health.isClosing);
  const endIfMisconfigured = (error: unknown) => {
    if (error instanceof ConfigError) {
      logger.error(
        { err: error },
        "the master key was replaced by one that this dispatcher does not have; ending",
      );
      endProcess(error);
    }
    throw error;
  };
  const renewLease = async () => {
    await lease.renew().catch(endIfMisconfigured).finally(showHealth);
    pipeline.proceed();
  };
  const watchSnapshots = createSnapshotWatch(upkeep, config.snapshotAlertMs);
  const compareLive = createComparison({ ...upkeep, random, mayGoOn: mayTake });
  const failing = { ...recovery, specs };
  const acknowledgements = { failOverdue: (scan: FullScan) => failOverdue(failing, scan) };
  const onUnreadable = ({ jobUid }: { jobUid: string }, error: unknown) =>
    events.emit("trouble", { part: `the fire times of job ${jobUid}`, error });
  const watch = { revisions: createRevisionCache(onUnreadable), onUnreadable };
  const alerting = { database: pools.alerts, clock, random, events, attempt, watch };
  const alertSender = createAlertSender(alerting);
  const alertLoops = {
    lookForAlerts: () => lookAtJobs(alerting),
    sendAlerts: alertSender.send,
    deleteOldAlerts: () => deleteOldAlerts(alerting),
  };
  const removeExpired = createRetention({ ...upkeep, mayGoOn: mayTake });
  const upkeepLoops = { renewLease, leadership, partitions, watchSnapshots, compareLive, replaceMasterKey };
  const watchBacklog = telemetry.hasMetrics ? createBacklogWatch(upkeep, metrics) : undefined;
  const ownLoops = { ...upkeepLoops, watchBacklog, removeExpired, ...acknowledgements, ...alertLoops };
  const loops = startLoops({ ...shared, ...ownLoops, pools, leaseMs, recovery });
  const onHealth = (isHealthy: boolean) => {
    health.isStalled = !isHealthy;
    showHealth();
  };
  const clockReading: Watched = {
    name: "PostgreSQL's clock",
    sinceSuccessMs: databaseClock.sinceSuccessMs,
    limitMs: CLOCK_LIMIT_MS,
    isVital: false,
    waitsFor: pools.clock.oldestUnanswered,
  };
  const watched = [clockReading, ...loops.watched];
  const watchdog = startWatchdog({ watched, logger, onHealth });
  operating.watch(watched);
  const serving = {
    ...recovery,
    database: pools.accept,
    apiDatabase: pools.api,
    masterKeys,
    tokenKeys,
    logger,
    traces,
  };
  server.add(DispatcherService, createDispatcherService(serving));
  const port = await server.listen(config.listen);
  showHealth();
  operating.serve(() => {
    const { problems, warnings } = watchdog.readiness();
    return lease.isValid() ? { problems, warnings } : { problems: [LEASE_LOST, ...problems], warnings };
  });
  logger.info({ port, masterKeyId }, "serving");
  return {
    port,
    closeLimitMs: config.drainMs + CLOSE_EXTRA_MS,
    close: (hurry = new AbortController().signal) => {
      health.isClosing = true;
      operating.stopping();
      watchdog.stop();
      const { drainMs } = config;
      const work = { pipeline, loops, recovery, waker, flowStore, alertSender, clients };
      const running = { ...work, operating, server, sharing, databaseClock, pools, logger };
      return close({ ...running, drainMs, hurry });
    },
  };
}

interface RunningParts {
  readonly operating: Operating;
  readonly server: GrpcServer;
  readonly pipeline: Pipeline;
  readonly loops: Loops;
  readonly recovery: RecoveryParts;
  readonly waker: Waker;
  readonly flowStore: FlowStore;
  readonly alertSender: AlertSender;
  readonly clients: DeliveryClients;
  readonly sharing: Sharing;
  readonly databaseClock: DatabaseClock;
  readonly pools: Pools;
  readonly logger: Logger;
  readonly drainMs: number;
  readonly hurry: AbortSignal;
}

async function close(parts: RunningParts): Promise<void> {
  const { server, pipeline, loops, recovery, waker, pools, logger, drainMs, hurry } = parts;
  const { flowStore, alertSender, clients, sharing, databaseClock } = parts;
  // From here on, the health service reports NOT_SERVING, so that the schedulers hand triggers over to others.
  const accepted = server.close(CALLS_GRACE_MS, hurry);
  const stopTaking = loops.stopTaking();
  const [left] = await Promise.all([pipeline.stop({ accepted, drainMs, hurry }), accepted, stopTaking]);
  if (left > 0) {
    logger.warn(
      { attempts: left },
      "attempts in flight did not end in time; they are recorded as UNKNOWN and made again",
    );
  }
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
  await alertSender.close(ALERTS_GRACE_MS);
  await flowStore.close();
  await clients.close();
  await sharing.close();
  await databaseClock.stop();
  await pools.close();
  await parts.operating.close();
}
