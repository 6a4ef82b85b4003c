import type { Database } from "../db/pool.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import type { GrpcClient } from "../mesh/grpc-client.ts";
import type { ScheduleCache } from "./job/schedule-cache.ts";
import type { SkipRange } from "./job/verdict.ts";
import type { HandOver } from "./turns/hand-over.ts";
import type { ZoneData } from "./zones/zone-data.ts";

/** What the scheduler's operations stand on, made once in app.ts. */
export interface Parts {
  readonly database: Database;
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly zoneData: ZoneData;
  readonly clock: Clock;
  /** How far ahead of its effective time a trigger is handed over. */
  readonly lookAheadMs: number;
  /** How many triggers of a project are made up for in a second. */
  readonly catchupPerSecond: number;
  /** Told of fire times that an outage has cost a job. */
  readonly onMissed: (jobUid: string, range: SkipRange) => void;
  /** Since when ticks have been succeeding without a failure, in epoch milliseconds; Infinity while they fail. */
  readonly tickingSince: () => number;
  /** Makes the loop look at once: a job may be due before its next tick. */
  readonly wake: () => void;
}
