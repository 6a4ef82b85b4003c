import { checkMigrated } from "../db/check-migrated.ts";
import { startDatabaseClock } from "../db/database-clock.ts";
import type { Leadership } from "../db/internal-redis/leadership.ts";
import { openSharing } from "../db/internal-redis/sharing.ts";
import type { Pool } from "../db/pool.ts";
import type { SilentPool } from "../db/pool-group.ts";
import { measurePools } from "../db/pool-metrics.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
import { type Loop, startLoop } from "../mesh/loop.ts";
import { startOperating } from "../mesh/operating.ts";
import { createTriggerTracer } from "../mesh/trigger-tracer.ts";
import { startWatchdog, type Watched } from "../mesh/watchdog.ts";
import type { AuditParts } from "./audit/audit-ledger.ts";
import { AUDIT_EVERY_MS, startAuditing } from "./audit/audit-round.ts";
import { BACKFILLS_EVERY_MS, startBackfills } from "./backfill/run.ts";
import { DELETE_FINISHED_EVERY_MS, startDeletingFinished } from "./changes/delete-finished.ts";
import { readConfig } from "./config.ts";
import { DISABLING_EVERY_MS, startDisabling } from "./disabling/run.ts";
import { HOUSEKEEPING_EVERY_MS, startHousekeeping } from "./housekeeping.ts";
import { createScheduleCache } from "./job/schedule-cache.ts";
import type { SkipRange } from "./job/verdict.ts";
import { createMeasuring, type Measuring } from "./measuring/measure-scheduler.ts";
import type { Parts } from "./parts.ts";
import { createPools } from "./pools.ts";
import { runReplayChunk } from "./replay/run.ts";
import { createSchedulerService } from "./scheduler-service.ts";
import { SETTLING_EVERY_MS, startSettling } from "./settling/calendars-settle.ts";
import { beginZoneData, watchZoneData, ZONE_DATA_EVERY_MS } from "./settling/zone-data-watch.ts";
import { createDispatchers } from "./turns/dispatchers.ts";
import { createHandOver, handOverTimeoutMs } from "./turns/hand-over.ts";
import { stepMsFor } from "./turns/horizon.ts";
import { createRevisionTraces } from "./turns/revision-traces.ts";
import { createTick, type TickParts } from "./turns/tick.ts";
import { traceHandOver } from "./turns/traced-hand-over.ts";
import { createZoneData, ownRelease } from "./zones/zone-data.ts";

const CACHED_SCHEDULES = 50_000;
const CLOSE_GRACE_MS = 5_000;
const CLOSE_LIMIT_MS = 20_000;
const TICK_LIMIT_MS = 5_000;
const CLOCK_LIMIT_MS = 10_000;
/** A loop in the background may take this long in addition to three times its pause. */
const SLOWEST_MS = 60_000;
/** A round of audits compares up to 25 million fire times. */
const SLOWEST_AUDITS_MS = 1_800_000;

/** Starts a scheduler: it serves calls, ticks, and does its background work until it is closed. */
export async function build(env: NodeJS.ProcessEnv): Promise<Service> {
  const config = readConfig(env);
  const logger = createLogger("scheduler", env);
  const operating = await startOperating({ service: "scheduler", env, logger });
  const measuring = createMeasuring(operating.telemetry);
  const onSilent = (silent: SilentPool) => logger.warn(silent, "PostgreSQL does not answer; connecting anew");
  const pools = createPools(config, onSilent);
  measurePools(operating.telemetry.meter, pools.byName);
  await checkMigrated(pools.clock);
  const clock = await startDatabaseClock({ database: pools.clock, logger });
  const dispatcher = createGrpcClient(DispatcherService, {
    addresses: config.dispatcherAddresses,
    deadlineMs: 5_000,
  });
  const dispatchers = createDispatchers({ addresses: config.dispatcherAddresses, logger });
  measuring.dispatchers(dispatchers.live);
  const timeoutMs = handOverTimeoutMs(config.lookAheadMs);
  const tracer = createTriggerTracer(operating.telemetry, logger);
  const revisions = createRevisionTraces(pools.traces, logger);
  const sending = createHandOver({ dispatchers, logger, clock, timeoutMs });
  const handOver = traceHandOver(measuring.handOver(sending), { tracer, revisions, clock, logger });
  const zoneData = createZoneData(pools.tick, ownRelease());
  const schedules = createScheduleCache(CACHED_SCHEDULES, zoneData);
  const onMissed = (jobUid: string, range: SkipRange) => {
    const { reason, count, firstMs, lastMs } = range;
    logger.warn({ jobUid, reason, count, firstMs, lastMs }, "fire times were missed because of an outage");
    measuring.missed(range);
  };
  const { lookAheadMs, tickMs, catchupPerSecond, zoneDataNoticeMs } = config;
  const stepMs = stepMsFor(lookAheadMs);
  const shared = { handOver, schedules, zoneData, clock, lookAheadMs, stepMs, catchupPerSecond, onMissed };
  await beginZoneData({ ...shared, database: pools.background }, zoneDataNoticeMs, logger);
  await dispatchers.untilChecked();
  const { loop, tickingSince } = startTicking(
    { ...shared, database: pools.tick },
    { tickMs, logger, measuring },
  );
  const sharing = openSharing({ url: config.redisUrl, service: "scheduler", logger });
  const { leadership, seen } = sharing;
  const onAudited = measuring.audited;
  const parts = { ...shared, seen, dispatcher, tickingSince, wake: loop.wake, onAudited };
  const background = startBackground({ ...parts, database: pools.background, leadership }, logger);
  const clockReading: Watched = {
    name: "PostgreSQL's clock",
    sinceSuccessMs: clock.sinceSuccessMs,
    limitMs: CLOCK_LIMIT_MS,
    isVital: false,
    waitsFor: pools.clock.oldestUnanswered,
  };
  const server = createGrpcServer({ logger, tracer: operating.telemetry.callTracer });
  const tick: Watched = {
    name: "tick",
    sinceSuccessMs: loop.sinceSuccessMs,
    limitMs: TICK_LIMIT_MS,
    isVital: true,
    waitsFor: pools.tick.oldestUnanswered,
  };
  const watched = [tick, clockReading, ...background.watched];
  const watchdog = startWatchdog({ watched, logger, onHealth: server.setServing });
  operating.watch(watched);
  server.add(SchedulerService, createSchedulerService(parts, pools.api));
  const port = await server.listen(config.listen);
  server.setServing(watchdog.isHealthy());
  operating.serve(watchdog.readiness);
  logger.info({ port }, "serving");
  return {
    port,
    closeLimitMs: CLOSE_LIMIT_MS,
    close: async (hurry) => {
      operating.stopping();
      watchdog.stop();
      // The ticks go on meanwhile. The tick under way is finished, so that what it has handed over is committed.
      await Promise.all([server.close(CLOSE_GRACE_MS, hurry), background.stop()]);
      await loop.stop();
      handOver.close();
      await dispatchers.close();
      dispatcher.close();
      await sharing.close();
      await clock.stop();
      await pools.close();
      await operating.close(hurry);
    },
  };
}

interface Ticking {
  readonly loop: Loop;
  readonly tickingSince: () => number;
}

/** Starts the loop that ticks, and keeps since when its ticks have been succeeding. */
function startTicking(
  parts: Omit<TickParts, "onTrouble">,
  { tickMs: everyMs, logger, measuring }: { tickMs: number; logger: Logger; measuring: Measuring },
): Ticking {
  const onTrouble: TickParts["onTrouble"] = (jobUid, error, { projectId, failures, retryTimeMs }) => {
    logger.error(
      { jobUid, projectId, failures, retryTimeMs, err: error },
      "a job is set aside: its fire times cannot be decided or recorded; trying again later",
    );
    measuring.setAside();
  };
  const tick = measuring.tick(createTick({ ...parts, onTrouble, onDecided: measuring.decided }));
  let sinceMs = parts.clock.now();
  const loop = startLoop(tick.run, {
    everyMs,
    onFailure: (error, failures) => {
      sinceMs = Number.POSITIVE_INFINITY;
      logger.warn({ err: error, failures }, "tick failed; trying again");
    },
    onRecovery: (failures) => {
      sinceMs = parts.clock.now();
      logger.info({ failures }, "ticking again");
    },
  });
  return { loop, tickingSince: () => sinceMs };
}

interface Background {
  /** Resolves when all of the work has ended. */
  stop(): Promise<void>;
  /** The loops, for the watchdog. */
  readonly watched: readonly Watched[];
}

/** Starts the work that needs no caller. */
function startBackground(
  parts: Parts & Pick<AuditParts, "onAudited"> & { readonly database: Pool; readonly leadership: Leadership },
  logger: Logger,
): Background {
  const { database, clock, leadership } = parts;
  const housekeeping = startHousekeeping({ database, clock, logger, leadership });
  const auditing = startAuditing(parts, logger);
  const settling = startSettling(parts, logger);
  const backfills = startBackfills(parts, logger, { REPLAY: runReplayChunk });
  const zones = watchZoneData(parts, logger);
  const deleting = startDeletingFinished(parts, logger);
  const disabling = startDisabling(parts, logger);
  const watch = (
    name: string,
    { sinceSuccessMs }: Pick<Loop, "sinceSuccessMs">,
    everyMs: number,
    slowestMs = SLOWEST_MS,
  ): Watched => {
    const limitMs = 3 * everyMs + slowestMs;
    return { name, sinceSuccessMs, limitMs, isVital: false, waitsFor: database.oldestUnanswered };
  };
  return {
    stop: async () => {
      await Promise.all([
        housekeeping.stop(),
        auditing.stop(),
        backfills.stop(),
        zones.stop(),
        settling.stop(),
        deleting.stop(),
        disabling.stop(),
      ]);
    },
    watched: [
      watch("housekeeping", housekeeping, HOUSEKEEPING_EVERY_MS),
      watch("deleting finished jobs", deleting, DELETE_FINISHED_EVERY_MS),
      watch("disabling failing jobs", disabling, DISABLING_EVERY_MS),
      watch("settling calendars", settling, SETTLING_EVERY_MS),
      watch("backfills", backfills, BACKFILLS_EVERY_MS),
      watch("zone data", zones, ZONE_DATA_EVERY_MS),
      watch("audits", auditing, AUDIT_EVERY_MS, SLOWEST_AUDITS_MS),
    ],
  };
}
