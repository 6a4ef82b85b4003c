import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { CalendarService } from "../../gen/easycron/v1/calendar_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";

/** Returns the handlers of CalendarService. The scheduler answers them all. */
export function createCalendarService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof CalendarService> {
  return {
    createCalendar: forward(scheduler.createCalendar),
    getCalendar: forward(scheduler.getCalendar),
    listCalendars: forward(scheduler.listCalendars),
    updateCalendar: forward(scheduler.updateCalendar),
    deleteCalendar: forward(scheduler.deleteCalendar),
    checkCalendar: forward(scheduler.checkCalendar),
  };
}
