import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { LedgerService } from "../../gen/easycron/v1/ledger_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";

/** Returns the handlers of LedgerService. The scheduler answers them all. */
export function createLedgerService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof LedgerService> {
  return {
    listFireTimes: forward(scheduler.listFireTimes),
    explainFireTime: forward(scheduler.explainFireTime),
    skipFireTime: forward(scheduler.skipFireTime),
    auditLedger: forward(scheduler.auditLedger),
  };
}
