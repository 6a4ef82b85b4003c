import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { LedgerService } from "../../gen/easycron/v1/ledger_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** The handlers of LedgerService. */
export function createLedgerService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof LedgerService> {
  return {
    listFireTimes: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listFireTimes({ projectId, request }, toCallOptions(context)));
    },
    explainFireTime: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.explainFireTime({ projectId, request }, toCallOptions(context)));
    },
    skipFireTime: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.skipFireTime({ projectId, request }, toCallOptions(context)));
    },
    auditLedger: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.auditLedger({ projectId, request }, toCallOptions(context)));
    },
  };
}
