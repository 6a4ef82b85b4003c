import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { UpdateCalendarRequest } from "../gen/easycron/v1/calendar_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { CalendarRow } from "./calendars/calendars.sql.ts";
import { createCalendar, deleteCalendar, updateCalendar } from "./calendars/change.ts";
import { checkCalendar, listCalendars, readCalendar } from "./calendars/read.ts";
import { toCalendar } from "./calendars/spec.ts";
import type { Parts } from "./parts.ts";
import { required } from "./requests/required.ts";
import { settleCalendar } from "./settling/calendars-settle.ts";

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
      const row = await updateAndSettleCalendar(parts, projectId, required(request));
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

/** For how long a call brings jobs up to date. The answer then comes within about two seconds. */
const SETTLE_MS = 1_500;

/**
 * Puts a new version of a calendar in effect, then brings the jobs that refer to it up to date, for at most `settleMs`.
 * The background (`startSettling`) does what is left, also after a failure: by then the new version is in effect, so
 * the call does not fail any more. Throws what `updateCalendar` throws.
 */
export async function updateAndSettleCalendar(
  parts: Parts,
  projectId: string,
  request: UpdateCalendarRequest,
  settleMs: number = SETTLE_MS,
): Promise<CalendarRow> {
  const row = await updateCalendar(parts, projectId, request);
  // The background meets the same failure, and logs it.
  await settleCalendar(parts, row.uid, settleMs).catch(() => {});
  return row;
}
