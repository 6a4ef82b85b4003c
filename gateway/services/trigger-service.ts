import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { TriggerService } from "../../gen/easycron/v1/trigger_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { createAcknowledge } from "./acknowledge.ts";
import { toCallOptions } from "./call-options.ts";
import { answered, forward } from "./forward.ts";

/** What the trigger service needs. */
export interface TriggerServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
}

/** Returns the handlers of TriggerService. The dispatcher answers the reads, the scheduler the changes. */
export function createTriggerService(parts: TriggerServiceParts): ServiceImpl<typeof TriggerService> {
  const { scheduler, dispatcher } = parts;
  return {
    getTrigger: forward(dispatcher.getTrigger),
    listTriggers: async (request, context) => {
      const { projectId } = projectOf(context);
      // The dispatcher knows jobs by id only. The scheduler knows which jobs have had a name.
      const { jobUids } =
        request.job === ""
          ? { jobUids: [] }
          : await scheduler.resolveJob({ projectId, name: request.job }, toCallOptions(context));
      return answered(await dispatcher.listTriggers({ projectId, request, jobUids }, toCallOptions(context)));
    },
    discardTriggers: forward(scheduler.discardTriggers),
    replayTrigger: forward(scheduler.replayTrigger),
    replayTriggers: forward(scheduler.replayTriggers),
    acknowledgeTrigger: createAcknowledge(dispatcher),
    listAttempts: forward(dispatcher.listAttempts),
  };
}
