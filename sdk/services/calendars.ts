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
    /**
     * Creates a calendar.
     *
     * @example
     * ```ts
     * await easycron.calendars.create({
     *   name: "office-hours",
     *   timeZone: "Europe/Paris",
     *   windows: [{ days: ["MONDAY", "FRIDAY"], start: "09:00", end: "17:30" }],
     *   excludedDates: ["2030-12-25"],
     * });
     * ```
     */
    create: async (
      calendar: NamedCalendarInput,
      options: Options<typeof CreateCalendarRequestSchema, "calendar"> = {},
    ): Promise<Calendar> => {
      const answer = await caller.call(method.createCalendar, { ...options, calendar });
      return required(answer.calendar, "calendar");
    },

    /**
     * Returns one calendar.
     *
     * @example
     * ```ts
     * const calendar = await easycron.calendars.get("office-hours");
     * console.log(calendar.windows);
     * ```
     */
    get: async (
      name: string,
      options: Options<typeof GetCalendarRequestSchema, "name"> = {},
    ): Promise<Calendar> => {
      const { calendar } = await caller.call(method.getCalendar, { ...options, name });
      return required(calendar, "calendar");
    },

    /**
     * Lists the project's calendars by name.
     *
     * @example
     * ```ts
     * for await (const { name } of easycron.calendars.list()) console.log(name);
     * ```
     */
    list: (options: Options<typeof ListCalendarsRequestSchema> = {}) =>
      createList(caller, method.listCalendars, options, (page): readonly Calendar[] => page.calendars),

    /**
     * Changes a calendar. Fields that are not given stay as they are.
     *
     * @example
     * ```ts
     * await easycron.calendars.update({ name: "office-hours", timeZone: "Europe/Berlin" });
     * ```
     */
    update: async (
      calendar: NamedCalendarInput,
      options: Options<typeof UpdateCalendarRequestSchema, "calendar"> = {},
    ): Promise<Calendar> => {
      const answer = await caller.call(method.updateCalendar, { ...options, calendar });
      return required(answer.calendar, "calendar");
    },

    /**
     * Deletes a calendar to which no job refers.
     *
     * @example
     * ```ts
     * await easycron.calendars.delete("office-hours");
     * ```
     */
    delete: async (
      name: string,
      options: Options<typeof DeleteCalendarRequestSchema, "name"> = {},
    ): Promise<Calendar> => {
      const { calendar } = await caller.call(method.deleteCalendar, { ...options, name });
      return required(calendar, "calendar");
    },

    /**
     * Says whether a calendar is open at an instant (default: now), and when that changes.
     *
     * @example
     * ```ts
     * const { open, changeTime } = await easycron.calendars.check("office-hours", { time: new Date("2030-01-07") });
     * console.log(open ? "open until" : "closed until", changeTime);
     * ```
     */
    check: (name: string, options: Options<typeof CheckCalendarRequestSchema, "name"> = {}) =>
      caller.call(method.checkCalendar, { ...options, name }),
  };
}
