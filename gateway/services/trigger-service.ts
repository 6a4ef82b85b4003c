import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** What the trigger service stands on. */
export interface TriggerServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
}

/** The handlers of TriggerService. The dispatcher knows jobs by id only; the scheduler knows which had a name. */
export function createTriggerService(parts: TriggerServiceParts): ServiceImpl<typeof TriggerService> {
  const { scheduler, dispatcher } = parts;
  return {
    getTrigger: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await dispatcher.getTrigger({ projectId, request }, toCallOptions(context)));
    },
    listTriggers: async (request, context) => {
      const { projectId } = projectOf(context);
      const { jobUids } =
        request.job === ""
          ? { jobUids: [] }
          : await scheduler.resolveJob({ projectId, name: request.job }, toCallOptions(context));
      return answered(await dispatcher.listTriggers({ projectId, request, jobUids }, toCallOptions(context)));
    },
    discardTriggers: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.discardTriggers({ projectId, request }, toCallOptions(context)));
    },
    listAttempts: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await dispatcher.listAttempts({ projectId, request }, toCallOptions(context)));
    },
  };
}
