import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { CalendarService } from "../../gen/easycron/v1/calendar_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** The handlers of CalendarService. */
export function createCalendarService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof CalendarService> {
  return {
    createCalendar: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.createCalendar({ projectId, request }, toCallOptions(context)));
    },
    getCalendar: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.getCalendar({ projectId, request }, toCallOptions(context)));
    },
    listCalendars: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listCalendars({ projectId, request }, toCallOptions(context)));
    },
    updateCalendar: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.updateCalendar({ projectId, request }, toCallOptions(context)));
    },
    deleteCalendar: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.deleteCalendar({ projectId, request }, toCallOptions(context)));
    },
    checkCalendar: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.checkCalendar({ projectId, request }, toCallOptions(context)));
    },
  };
}
