import { createPool } from "../db/pool.ts";
import { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { systemClock } from "../mesh/clock.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger, type Logger } from "../mesh/logger.ts";
import { type Loop, startLoop } from "../mesh/loop.ts";
import { startAuditing } from "./audit/audit-round.ts";
import { startBackfills } from "./backfill/run.ts";
import { startDeletingFinished } from "./changes/delete-finished.ts";
import { readConfig } from "./config.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { createScheduleCache } from "./job/schedule-cache.ts";
import type { SkipRange } from "./job/verdict.ts";
import type { Parts } from "./parts.ts";
import { createSchedulerService } from "./scheduler-service.ts";
import { startSettling } from "./settling/calendars-settle.ts";
import { beginZoneData, watchZoneData } from "./settling/zone-data-watch.ts";
import { createHandOver } from "./turns/hand-over.ts";
import { createTick, type TickParts } from "./turns/tick.ts";
import { createZoneData, ownRelease } from "./zones/zone-data.ts";

const CACHED_SCHEDULES = 50_000;
const CLOSE_GRACE_MS = 3_000;

/** Starts a scheduler: it serves calls, ticks, and does its background work until it is closed. */
export async function build(env: NodeJS.ProcessEnv): Promise<Service> {
  const config = readConfig(env);
  const logger = createLogger("scheduler", env);
  const clock = systemClock;
  const database = createPool({
    connectionString: config.databaseUrl,
    max: config.databaseConnections,
    applicationName: "easycron-scheduler",
  });
  const dispatcher = createGrpcClient(DispatcherService, {
    addresses: config.dispatcherAddresses,
    deadlineMs: 5_000,
  });
  const streams = Math.max(2, config.dispatcherAddresses.length);
  const handOver = createHandOver(dispatcher, { streams, timeoutMs: 5_000 });
  const zoneData = createZoneData(database, ownRelease());
  const schedules = createScheduleCache(CACHED_SCHEDULES, zoneData);
  const onMissed = (jobUid: string, { reason, count, firstMs, lastMs }: SkipRange) =>
    logger.warn({ jobUid, reason, count, firstMs, lastMs }, "fire times were missed because of an outage");
  const { lookAheadMs, tickMs, catchupPerSecond, zoneDataNoticeMs } = config;
  const shared = { database, handOver, schedules, zoneData, clock, lookAheadMs, catchupPerSecond, onMissed };
  await beginZoneData(shared, zoneDataNoticeMs, logger);
  const { loop, tickingSince } = startTicking(shared, tickMs, logger);
  const parts = { ...shared, dispatcher, tickingSince, wake: loop.wake };
  const background = startBackground(parts, logger);
  const server = createGrpcServer({ logger });
  server.add(SchedulerService, createSchedulerService(parts));
  const port = await server.listen(config.listen);
  server.setServing(true);
  logger.info({ port }, "serving");
  return {
    port,
    close: async () => {
      await server.close(CLOSE_GRACE_MS);
      await background.stop();
      await loop.stop();
      handOver.close();
      dispatcher.close();
      await database.close();
    },
  };
}

interface Ticking {
  readonly loop: Loop;
  readonly tickingSince: () => number;
}

/** Starts the loop that ticks, and keeps since when its ticks have been succeeding. */
function startTicking(parts: Omit<TickParts, "onTrouble">, everyMs: number, logger: Logger): Ticking {
  const onTrouble = (jobUid: string, error: unknown) =>
    logger.error({ jobUid, err: error }, "the next fire time cannot be computed; trying again in a minute");
  const tick = createTick({ ...parts, onTrouble });
  let sinceMs = parts.clock.now();
  const loop = startLoop(tick.run, {
    everyMs,
    onFailure: (error) => {
      sinceMs = Number.POSITIVE_INFINITY;
      logger.warn({ err: error }, "tick failed; trying again");
    },
    onRecovery: (failures) => {
      sinceMs = parts.clock.now();
      logger.info({ failures }, "ticking again");
    },
  });
  return { loop, tickingSince: () => sinceMs };
}

/** Starts the work that needs no caller. `stop` resolves when all of it has ended. */
function startBackground(parts: Parts, logger: Logger): { stop(): Promise<void> } {
  const { database, clock } = parts;
  const housekeeping = startHousekeeping({ database, clock, logger });
  const auditing = startAuditing(parts, logger);
  const settling = startSettling(parts, logger);
  const backfills = startBackfills(parts, logger);
  const zones = watchZoneData(parts, logger);
  const deleting = startDeletingFinished(parts, logger);
  return {
    stop: async () => {
      housekeeping.stop();
      deleting.stop();
      await auditing.stop();
      await backfills.stop();
      await zones.stop();
      await settling.stop();
    },
  };
}
