import { type Caller, type Options, required } from "../caller.ts";
import {
  CalendarService,
  type CheckCalendarRequestSchema,
  type CreateCalendarRequestSchema,
  type DeleteCalendarRequestSchema,
  type GetCalendarRequestSchema,
  type ListCalendarsRequestSchema,
  type UpdateCalendarRequestSchema,
} from "../gen/easycron/v1/calendar_service_pb.ts";
import { createList } from "../list.ts";
import type { Calendar, NamedCalendarInput } from "../resources.ts";

const { method } = CalendarService;

/** Makes the methods of calendars. */
export function createCalendars(caller: Caller) {
  return {
    /** Creates a calendar. */
    create: async (
      calendar: NamedCalendarInput,
      options: Options<typeof CreateCalendarRequestSchema, "calendar"> = {},
    ): Promise<Calendar> => {
      const answer = await caller.call(method.createCalendar, { ...options, calendar });
      return required(answer.calendar, "calendar");
    },

    /** Returns one calendar. */
    get: async (
      name: string,
      options: Options<typeof GetCalendarRequestSchema, "name"> = {},
    ): Promise<Calendar> => {
      const { calendar } = await caller.call(method.getCalendar, { ...options, name });
      return required(calendar, "calendar");
    },

    /** Lists the project's calendars by name. */
    list: (options: Options<typeof ListCalendarsRequestSchema> = {}) =>
      createList(caller, method.listCalendars, options, (page): readonly Calendar[] => page.calendars),

    /** Changes a calendar. Fields that are not given stay as they are. */
    update: async (
      calendar: NamedCalendarInput,
      options: Options<typeof UpdateCalendarRequestSchema, "calendar"> = {},
    ): Promise<Calendar> => {
      const answer = await caller.call(method.updateCalendar, { ...options, calendar });
      return required(answer.calendar, "calendar");
    },

    /** Deletes a calendar to which no job refers. */
    delete: async (
      name: string,
      options: Options<typeof DeleteCalendarRequestSchema, "name"> = {},
    ): Promise<Calendar> => {
      const { calendar } = await caller.call(method.deleteCalendar, { ...options, name });
      return required(calendar, "calendar");
    },

    /** Says whether a calendar is open at an instant (default: now), and when that changes. */
    check: (name: string, options: Options<typeof CheckCalendarRequestSchema, "name"> = {}) =>
      caller.call(method.checkCalendar, { ...options, name }),
  };
}
