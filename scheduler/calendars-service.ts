import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { toCalendar } from "./calendars/spec.ts";
import type { Parts } from "./parts.ts";
import { required } from "./requests/required.ts";
import { createCalendar, deleteCalendar, readCalendar, updateCalendar } from "./settling/calendars-change.ts";
import { checkCalendar, listCalendars } from "./settling/calendars-read.ts";

type CalendarHandlers = Pick<
  ServiceImplementation<typeof SchedulerService>,
  "createCalendar" | "getCalendar" | "listCalendars" | "updateCalendar" | "deleteCalendar" | "checkCalendar"
>;

/** The handlers of calendars: translate, call, translate. */
export function createCalendarHandlers(parts: Parts): CalendarHandlers {
  return {
    createCalendar: async ({ projectId, request }) => {
      const row = await createCalendar(parts, projectId, request?.calendar);
      return { response: { calendar: toCalendar(row) } };
    },
    getCalendar: async ({ projectId, request }) => {
      const row = await readCalendar(parts.database, projectId, required(request).name);
      return { response: { calendar: toCalendar(row) } };
    },
    listCalendars: async ({ projectId, request }) => ({
      response: await listCalendars(parts, projectId, required(request)),
    }),
    updateCalendar: async ({ projectId, request }) => {
      const row = await updateCalendar(parts, projectId, required(request));
      return { response: { calendar: toCalendar(row) } };
    },
    deleteCalendar: async ({ projectId, request }) => {
      const row = await deleteCalendar(parts, projectId, required(request));
      return { response: { calendar: toCalendar(row) } };
    },
    checkCalendar: async ({ projectId, request }) => ({
      response: await checkCalendar(parts, projectId, required(request)),
    }),
  };
}
