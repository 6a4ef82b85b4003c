import { openSharing } from "../db/internal-redis/sharing.ts";
import { measurePools } from "../db/pool-metrics.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import type { ConfigError } from "../mesh/config.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger } from "../mesh/logger.ts";
import { startOperating } from "../mesh/operating.ts";
import type { Readiness } from "../mesh/readiness.ts";
import { createTriggerTracer } from "../mesh/trigger-tracer.ts";
import { startWatchdog, type Watched } from "../mesh/watchdog.ts";
import { createAlertWork } from "./alert-work.ts";
import { createAttemptParts, createSending } from "./attempt-parts.ts";
import { close } from "./close.ts";
import { readConfig } from "./config.ts";
import { createDispatcherService } from "./dispatcher-service.ts";
import { createEvents, type Events } from "./events/events.ts";
import { logEvents } from "./events/log-events.ts";
import { createHealth } from "./health.ts";
import { createPartitions } from "./housekeeping.ts";
import { type Lease, type LeaseParts, takeLease } from "./instances/lease.ts";
import { createLoopWork } from "./loop-work.ts";
import { startLoops } from "./loops.ts";
import { createBacklogWatch } from "./measuring/backlog.ts";
import { measureEvents } from "./measuring/measure-events.ts";
import { measureWork } from "./measuring/measure-work.ts";
import { createQueue } from "./queue.ts";
import { createRenewal } from "./renew-lease.ts";
import { checkRecordedMasterKey } from "./signing-keys/master-key.ts";
import { createSigningKeys } from "./signing-keys/signing-keys.ts";
import { openStorage, type Storage } from "./storage.ts";
import { createTokenKeys } from "./tokens/token-keys.ts";
import { createTriggerTraces } from "./tracing/trigger-traces.ts";

/** Time for everything else than waiting for attempts in flight. */
const CLOSE_EXTRA_MS = 8_000;
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
  const tracer = createTriggerTracer(telemetry, logger);
  const metrics = measureEvents(events, telemetry);
  const monotonicMs = () => performance.now();
  const storage = await openStorage(config, logger);
  const { pools, databaseClock, masterKeys } = storage;
  measurePools(telemetry.meter, pools.byName);
  const clock = overrides.clock ?? databaseClock;
  const traces = createTriggerTraces(tracer, clock, logger);
  const time = { clock, monotonicMs };
  const partitions = createPartitions({ database: pools.upkeep, clock, events });
  await partitions.makeFirst();
  const { leaseMs, snapshotAlertMs, drainMs } = config;
  const lease = await takeOwnLease(storage, { ...time, leaseMs, events, onLost: () => pipeline.forget() });
  const server = createGrpcServer({ logger, tracer: telemetry.callTracer });
  const health = createHealth({ server, lease });
  const onTrouble = (error: unknown) => events.emit("trouble", { part: "opening a signing key", error });
  const signingKeys = createSigningKeys({ ...time, database: pools.lookups, masterKeys, onTrouble });
  const tokenKeys = createTokenKeys({ masterKeys, database: pools.secrets });
  const { clients, deliveryConcurrency } = createSending(config, events, logger);
  const keys = { masterKeys, signingKeys, tokenKeys, publicUrl: config.publicUrl };
  const sources = { ...time, ...keys, clients, database: pools.secrets, lease, events };
  const attempt = createAttemptParts({ ...sources, traceparentOf: tracer.traceparentOf });
  const sharing = openSharing({ url: config.redisUrl, service: "dispatcher", logger });
  const limits = { deliveryConcurrency, originConcurrency: config.originConcurrency };
  const queue = createQueue({
    pools,
    clock,
    random,
    events,
    lease,
    health,
    attempt,
    sharing,
    limits,
    traces,
  });
  const { pipeline, recovery, specs } = queue;
  measureWork(metrics, { count: pipeline.count, holding: recovery.holding, lease });
  const alerts = createAlertWork({ database: pools.alerts, clock, random, events, attempt });
  const replacing = { masterKeys, monotonicMs, logger, onTrouble };
  const loops = startLoops({
    ...createLoopWork({ database: pools.upkeep, random, recovery, specs, replacing, snapshotAlertMs }),
    ...alerts.loops,
    renewLease: createRenewal({ lease, health, pipeline, logger, endProcess }),
    partitions,
    watchBacklog: telemetry.hasMetrics
      ? createBacklogWatch({ database: pools.upkeep, clock }, metrics)
      : undefined,
    leadership: sharing.leadership,
    setAside: queue.setAside,
    signingKeys,
    recovery,
    pools,
    events,
    leaseMs,
  });
  const watched = [watchClock(storage), ...loops.watched];
  const watchdog = startWatchdog({ watched, logger, onHealth: health.setProgress });
  operating.watch(watched);
  const databases = { database: pools.accept, apiDatabase: pools.api };
  const serving = { ...databases, random, specs, masterKeys, tokenKeys, seen: sharing.seen, logger, traces };
  server.add(DispatcherService, createDispatcherService({ ...recovery, ...serving }));
  const port = await server.listen(config.listen);
  health.show();
  operating.serve(() => withLease(watchdog.readiness(), lease));
  logger.info({ port, masterKeyId: masterKeys.wanted.id }, "serving");
  const running = {
    ...queue,
    operating,
    server,
    loops,
    alertSender: alerts.sender,
    clients,
    sharing,
    databaseClock,
    pools,
    logger,
  };
  return {
    port,
    closeLimitMs: drainMs + CLOSE_EXTRA_MS,
    close: (hurry = new AbortController().signal) => {
      health.startClosing();
      operating.stopping();
      watchdog.stop();
      return close(running, { drainMs, hurry });
    },
  };
}

function withLease({ problems, warnings }: Readiness, lease: Pick<Lease, "isValid">): Readiness {
  return { problems: lease.isValid() ? problems : [LEASE_LOST, ...problems], warnings };
}

async function takeOwnLease(
  { pools, masterKeys }: Storage,
  parts: Pick<LeaseParts, "clock" | "monotonicMs" | "leaseMs" | "events" | "onLost">,
): Promise<Lease> {
  return await takeLease({
    ...parts,
    database: pools.lease,
    masterKeyId: masterKeys.wanted.id,
    checkMasterKey: () => checkRecordedMasterKey({ database: pools.lease, masterKeys }),
  });
}

function watchClock({ pools, databaseClock }: Storage): Watched {
  return {
    name: "PostgreSQL's clock",
    sinceSuccessMs: databaseClock.sinceSuccessMs,
    limitMs: CLOCK_LIMIT_MS,
    isVital: false,
    waitsFor: pools.clock.oldestUnanswered,
  };
}
