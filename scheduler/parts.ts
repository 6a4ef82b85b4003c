import type { Seen } from "../db/internal-redis/seen.ts";
import type { Database } from "../db/pool.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import type { GrpcClient } from "../mesh/grpc-client.ts";
import type { ScheduleCache } from "./job/schedule-cache.ts";
import type { SkipRange } from "./job/verdict.ts";
import type { HandOver } from "./turns/hand-over.ts";
import type { ZoneData } from "./zones/zone-data.ts";

/**
 * Everything that app.ts makes once for the scheduler's operations. Only root files and tests use the whole bundle. An
 * operation names what it uses, such as `Pick<Parts, "database" | "clock">`.
 */
export interface Parts {
  readonly database: Database;
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly zoneData: ZoneData;
  readonly clock: Clock;
  /** How long before its effective time a trigger is handed over to a dispatcher at the latest. */
  readonly lookAheadMs: number;
  /** How much earlier than that it may be handed over, if its job fires often (`horizonOf`). */
  readonly stepMs: number;
  /** The catch-up rate of one project: how many of its late triggers become due in a second. */
  readonly catchupPerSecond: number;
  /** Called with fire times of a job that an outage made us miss. */
  readonly onMissed: (jobUid: string, range: SkipRange) => void;
  /** Returns since when all ticks have succeeded, in epoch milliseconds; Infinity while they fail. */
  readonly tickingSince: () => number;
  /** Makes the next tick run at once, because a job may be due before it. */
  readonly wake: () => void;
  /** Request ids that were used lately. Without it, a repeated call is recognised by PostgreSQL alone. */
  readonly seen?: Seen;
}
