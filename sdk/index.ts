export type { CallOptions } from "./caller.ts";
export { EasyCron, type EasyCronOptions } from "./easycron.ts";
export {
  CancelledError,
  ConflictError,
  EasyCronError,
  type EasyCronErrorCode,
  type EasyCronErrorReason,
  type FieldViolation,
  InvalidArgumentError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitedError,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
} from "./easycron-error.ts";
export { type JobAlert, parseAlert } from "./job-alert.ts";
export type { List } from "./list.ts";
export type { DurationInput, InstantInput, JobInput, JsonInput, ScheduleInput } from "./plain-types.ts";
export type {
  ApiKey,
  Attempt,
  Calendar,
  ChangedJob,
  FireTime,
  Job,
  LedgerDifference,
  LedgerEntry,
  NamedCalendarInput,
  NamedJobInput,
  Operation,
  Plugin,
  PluginCredentials,
  PluginKind,
  Project,
  Revision,
  Schedule,
  SigningKey,
  Target,
  TargetInput,
  Trigger,
  Warning,
  ZoneDataImpact,
} from "./resources.ts";
export { at, type CronOptions, calendarCloses, calendarOpens, cron, every } from "./schedule.ts";
export type { ApplyOptions } from "./services/job-sets.ts";
export {
  OperationFailedError,
  type RunningOperation,
  type WaitOptions,
} from "./services/running-operation.ts";
export { kafkaTopic, redisChannel, redisKey, redisList, redisStream, webhook } from "./target.ts";
export { type TriggerIdParts, triggerId } from "./trigger-id.ts";
