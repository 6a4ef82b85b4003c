import type { JobJson, Job as RawJob } from "./gen/easycron/v1/job_pb.ts";
import type { ScheduleSchema } from "./gen/easycron/v1/schedule_pb.ts";
import type { InputMessage, InputOf } from "./plain-types.ts";

/** A schedule to send. `cron`, `every`, `at` and `calendarOpens` make one. */
export interface ScheduleInput extends InputOf<typeof ScheduleSchema> {}

/** A job to send. A job that came back can be sent too: its output-only fields are ignored. */
export interface JobInput extends InputMessage<RawJob, JobJson> {
  /** The only schedule, instead of `schedules`. */
  readonly schedule?: ScheduleInput | undefined;
}
