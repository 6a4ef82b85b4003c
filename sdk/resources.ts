import type { ApiKeySchema } from "./gen/easycron/v1/api_key_service_pb.ts";
import type { CalendarSchema } from "./gen/easycron/v1/calendar_pb.ts";
import type { JobSchema, WarningSchema } from "./gen/easycron/v1/job_pb.ts";
import type { LedgerDifferenceSchema, LedgerEntrySchema } from "./gen/easycron/v1/ledger_pb.ts";
import type { OperationSchema } from "./gen/easycron/v1/operation_pb.ts";
import type { PluginCredentialsSchema, PluginSchema } from "./gen/easycron/v1/plugin_pb.ts";
import type { ProjectSchema } from "./gen/easycron/v1/project_service_pb.ts";
import type { RevisionSchema } from "./gen/easycron/v1/revision_pb.ts";
import type { FireTimeSchema, ScheduleSchema } from "./gen/easycron/v1/schedule_pb.ts";
import type { ZoneDataImpactSchema } from "./gen/easycron/v1/schedule_service_pb.ts";
import type { SigningKeySchema } from "./gen/easycron/v1/signing_key_service_pb.ts";
import type { TargetSchema } from "./gen/easycron/v1/target_pb.ts";
import type { AttemptSchema, TriggerSchema } from "./gen/easycron/v1/trigger_pb.ts";
import type { InputOf, JobInput, OutputOf } from "./plain-types.ts";

/** What fires when, and where it is delivered. */
export interface Job extends OutputOf<typeof JobSchema> {}
/** A job after a change, with what the server warns of. */
export interface ChangedJob extends Job {
  readonly warnings: Warning[];
}
/** A job to send, with the name that says which. */
export interface NamedJobInput extends JobInput {
  readonly name: string;
}
/** Something to know about a job that was accepted. */
export interface Warning extends OutputOf<typeof WarningSchema> {}
/** A rule by which a job fires. */
export interface Schedule extends OutputOf<typeof ScheduleSchema> {}
/** Where triggers are delivered. */
export interface Target extends OutputOf<typeof TargetSchema> {}
/** A target to send. `webhook`, `redisStream`, `kafkaTopic` and the like make one. */
export interface TargetInput extends InputOf<typeof TargetSchema> {}
/** One version of a job's specification. */
export interface Revision extends OutputOf<typeof RevisionSchema> {}
/** One fire time of a preview. */
export interface FireTime extends OutputOf<typeof FireTimeSchema> {}
/** What newer zone data changes for a job. */
export interface ZoneDataImpact extends OutputOf<typeof ZoneDataImpactSchema> {}
/** When jobs may fire. */
export interface Calendar extends OutputOf<typeof CalendarSchema> {}
/** A calendar to send, with the name that says which. */
export type NamedCalendarInput = InputOf<typeof CalendarSchema> & { readonly name: string };
/** A fire time with its verdict. */
export interface LedgerEntry extends OutputOf<typeof LedgerEntrySchema> {}
/** A difference that an audit of the ledger has found. */
export interface LedgerDifference extends OutputOf<typeof LedgerDifferenceSchema> {}
/** The record of one fire time that is delivered. */
export interface Trigger extends OutputOf<typeof TriggerSchema> {}
/** One try to deliver a trigger. */
export interface Attempt extends OutputOf<typeof AttemptSchema> {}
/** Work that continues after the call that started it. */
export interface Operation extends OutputOf<typeof OperationSchema> {}
/** A key that signs webhooks. */
export interface SigningKey extends OutputOf<typeof SigningKeySchema> {}
/** A project. */
export interface Project extends OutputOf<typeof ProjectSchema> {}
/** A project's API key. */
export interface ApiKey extends OutputOf<typeof ApiKeySchema> {}
/** A project's space in a managed Redis or Kafka. */
export interface Plugin extends OutputOf<typeof PluginSchema> {}
/** Which plugin. */
export type PluginKind = "REDIS" | "KAFKA";
/** A user name with its password, which no other answer has. */
export interface PluginCredentials extends OutputOf<typeof PluginCredentialsSchema> {}
