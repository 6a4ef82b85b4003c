// The types and values of `easycron.raw`, the generated client.
export {
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampDate,
  timestampFromDate,
  timestampMs,
} from "@bufbuild/protobuf/wkt";
export { AlertEvent, type Alerts } from "./gen/easycron/v1/alert_pb.ts";
export type { ApiKey } from "./gen/easycron/v1/api_key_service_pb.ts";
export type { Calendar, CalendarWindow } from "./gen/easycron/v1/calendar_pb.ts";
export {
  type CalendarReference,
  type Job,
  JobState,
  MisfirePolicy,
  Outside,
  OverlapPolicy,
  type Warning,
  WarningCode,
} from "./gen/easycron/v1/job_pb.ts";
export {
  type LedgerDifference,
  LedgerDifferenceKind,
  type LedgerEntry,
  Verdict,
  VerdictReason,
} from "./gen/easycron/v1/ledger_pb.ts";
export { type Operation, type OperationMetadata, OperationState } from "./gen/easycron/v1/operation_pb.ts";
export {
  type Plugin,
  type PluginCredentials,
  PluginKind,
  type PluginLimits,
  PluginState,
  type PluginTopic,
} from "./gen/easycron/v1/plugin_pb.ts";
export type { Project } from "./gen/easycron/v1/project_service_pb.ts";
export type { FireTimeDifference, Revision } from "./gen/easycron/v1/revision_pb.ts";
export {
  type CalendarEdgeSchedule,
  CronDialect,
  type CronSchedule,
  DstGap,
  DstOverlap,
  type DstPolicy,
  Edge,
  type FireTime,
  type Schedule,
} from "./gen/easycron/v1/schedule_pb.ts";
export {
  SigningAlgorithm,
  type SigningKey,
  SigningKeyState,
} from "./gen/easycron/v1/signing_key_service_pb.ts";
export {
  KafkaContentMode,
  KafkaPartitioning,
  type KafkaTarget,
  type RedisTarget,
  type RetryPolicy,
  type Target,
  type WebhookTarget,
} from "./gen/easycron/v1/target_pb.ts";
export {
  type Attempt,
  AttemptOutcome,
  type Trigger,
  TriggerKind,
  TriggerState,
} from "./gen/easycron/v1/trigger_pb.ts";
export { toDate } from "./instant.ts";
export { toPayload } from "./payload.ts";
export type { RawClient } from "./raw-client.ts";
export { toTimestamp } from "./timestamp.ts";
