import type { Database } from "../../db/pool.ts";
import { toSqlTimeOrNull } from "../../db/time.ts";
import type { PluginsService } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { Logger } from "../../mesh/logger.ts";

/** A point in the work on a plugin. What follows a step is lost when the process dies there, and is done again. */
export type PluginStep =
  | "enable: row written"
  | "enable: provisioned"
  | "enable: finished"
  | "rotate: row written"
  | "rotate: provisioned"
  | "rotate: finished"
  | "update: row written"
  | "update: provisioned"
  | "disable: row written"
  | "disable: jobs paused"
  | "disable: cut off"
  | "disable: provisioned"
  | "disable: finished"
  | "remove: removed"
  | "remove: finished";

/** What the work on plugins needs. */
export interface PluginParts {
  readonly database: Database;
  /** Plugin delivery, the only service that connects to a broker. */
  readonly delivery: GrpcClient<typeof PluginsService>;
  readonly scheduler: Pick<GrpcClient<typeof SchedulerService>, "listJobs" | "batchPauseJobs">;
  readonly logger: Logger;
  /** The time that decides what is due, in epoch milliseconds. Null means PostgreSQL's, so that all gateways agree. */
  readonly now: () => number | null;
  /** Called at each step of the work on a project's plugin, which waits for it. */
  readonly onStep: (step: PluginStep, projectId: string) => void | Promise<void>;
}

/** Returns the time as a parameter of the statements. */
export function sqlNow({ now }: Pick<PluginParts, "now">): string | null {
  return toSqlTimeOrNull(now());
}
