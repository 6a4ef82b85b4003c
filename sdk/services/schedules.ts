import type { Caller, Options } from "../caller.ts";
import {
  type ListZoneDataImpactsRequestSchema,
  type PreviewScheduleRequestSchema,
  ScheduleService,
  type SimulateScheduleRequestSchema,
} from "../gen/easycron/v1/schedule_service_pb.ts";
import { createList } from "../list.ts";
import type { JobInput } from "../plain-types.ts";
import type { ZoneDataImpact } from "../resources.ts";

const { method } = ScheduleService;

/** Makes the methods of previews. */
export function createSchedules(caller: Caller) {
  return {
    /**
     * Computes the next fire times of a job, given by its name or as it would be created:
     * `schedules.preview({ schedule: cron("0 9 * * 1") }, { count: 5 })`.
     *
     * @example
     * ```ts
     * const { fireTimes } = await easycron.schedules.preview({ schedule: cron("0 9 * * 1") }, { count: 5 });
     * for (const { nominalTime } of fireTimes) console.log(nominalTime);
     * ```
     */
    preview: (
      job: string | JobInput,
      options: Options<typeof PreviewScheduleRequestSchema, "name" | "job"> = {},
    ) => caller.call(method.previewSchedule, { ...options, ...sourceOf(job) }),

    /**
     * Computes what becomes of each fire time of a job, given by its name or as it would be created.
     *
     * @example
     * ```ts
     * const endTime = new Date("2026-03-08T00:00:00Z");
     * const { fireTimes } = await easycron.schedules.simulate("payroll", { startTime: "2026-03-01T00:00:00Z", endTime });
     * console.log(fireTimes.length);
     * ```
     */
    simulate: (
      job: string | JobInput,
      options: Options<typeof SimulateScheduleRequestSchema, "name" | "job">,
    ) => caller.call(method.simulateSchedule, { ...options, ...sourceOf(job) }),

    /**
     * Lists the jobs whose fire times the next zone data changes. The pages also say which zone data.
     *
     * @example
     * ```ts
     * for await (const impact of easycron.schedules.listZoneDataImpacts()) console.log(impact.job);
     * ```
     */
    listZoneDataImpacts: (options: Options<typeof ListZoneDataImpactsRequestSchema> = {}) =>
      createList(
        caller,
        method.listZoneDataImpacts,
        options,
        (page): readonly ZoneDataImpact[] => page.impacts,
      ),
  };
}

function sourceOf(job: string | JobInput): { readonly name: string } | { readonly job: JobInput } {
  return typeof job === "string" ? { name: job } : { job };
}
