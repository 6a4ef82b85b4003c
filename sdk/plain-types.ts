import type { DescMessage, JsonValue, Message, MessageJsonType, MessageShape } from "@bufbuild/protobuf";
import type { Duration, FieldMask, Timestamp, Value } from "@bufbuild/protobuf/wkt";
import type { JobJson, Job as RawJob } from "./gen/easycron/v1/job_pb.ts";
import type { ScheduleSchema } from "./gen/easycron/v1/schedule_pb.ts";

// Both types below are derived from two generated types of a message: its own (which says what is a Timestamp), and
// that of its JSON form (which has the enums as names and the members of a oneof as fields).

/** Any JSON value, as the payload of a job may be. Members that are undefined are left out. */
export type JsonInput =
  | string
  | number
  | boolean
  | null
  | readonly JsonInput[]
  | { readonly [name: string]: JsonInput | undefined };

/** An instant: a Date, or RFC 3339 text such as "2030-01-01T00:00:00Z". */
export type InstantInput = Date | string;

/** A duration: milliseconds, or seconds with their unit, such as "90s" or "0.5s". */
export type DurationInput = number | `${number}s`;

/** A message as a plain object to send. */
export type InputOf<Desc extends DescMessage> = InputMessage<MessageShape<Desc>, MessageJsonType<Desc>>;

/** A message as the plain object that comes back. */
export type OutputOf<Desc extends DescMessage> = OutputMessage<MessageShape<Desc>, MessageJsonType<Desc>>;

/** A message to send, by its own type and that of its JSON form. */
export type InputMessage<M, J> = {
  readonly [K in keyof J]?: InputValue<FieldOf<M, K>, NonNullable<J[K]>> | undefined;
};

/** A message that comes back, by its own type and that of its JSON form. */
export type OutputMessage<M, J> = {
  [K in keyof J as K extends AlwaysSet<M, J> ? K : never]-?: OutputValue<FieldOf<M, K>, NonNullable<J[K]>>;
} & {
  [K in keyof J as K extends AlwaysSet<M, J> ? never : K]?:
    | OutputValue<FieldOf<M, K>, NonNullable<J[K]>>
    | undefined;
};

/** The type of a field, which may be a member of a oneof. */
type FieldOf<M, K> = NonNullable<K extends keyof M ? M[K] : MemberOf<M[keyof M], K>>;
type MemberOf<Oneof, K> = Oneof extends { case: K; value: infer Member } ? Member : never;

/** The fields that are set in every answer: not messages, not members of a oneof, not enums. */
type AlwaysSet<M, J> = {
  [K in keyof J]-?: K extends keyof M
    ? undefined extends M[K]
      ? never
      : IsEnum<M[K], NonNullable<J[K]>> extends true
        ? never
        : K
    : never;
}[keyof J];

type IsEnum<M, J> = [M] extends [number] ? ([J] extends [string] ? true : false) : false;

/** The names of an enum's values without their common prefix, and without UNSPECIFIED. */
type EnumName<J, All = J> = J extends `${PrefixOf<All>}${infer Name}` ? Exclude<Name, "UNSPECIFIED"> : never;
type PrefixOf<J> = Extract<J, `${string}UNSPECIFIED`> extends `${infer Prefix}UNSPECIFIED` ? Prefix : never;

type InputValue<M, J> = [M] extends [Timestamp]
  ? InstantInput
  : [M] extends [Duration]
    ? DurationInput
    : [M] extends [Value]
      ? JsonInput
      : [M] extends [FieldMask]
        ? readonly string[]
        : [M] extends [RawJob]
          ? JobInput
          : [M] extends [Message]
            ? InputMessage<M, J>
            : [M] extends [readonly (infer E)[]]
              ? J extends readonly (infer JsonOfE)[]
                ? readonly InputValue<E, JsonOfE>[]
                : never
              : Scalar<M, J>;

type OutputValue<M, J> = [M] extends [Timestamp]
  ? Date
  : [M] extends [Duration]
    ? number
    : [M] extends [Value]
      ? JsonValue
      : [M] extends [FieldMask]
        ? string[]
        : [M] extends [Message]
          ? OutputMessage<M, J>
          : [M] extends [readonly (infer E)[]]
            ? J extends readonly (infer JsonOfE)[]
              ? OutputValue<E, JsonOfE>[]
              : never
            : Scalar<M, J>;

type Scalar<M, J> = IsEnum<M, J> extends true ? EnumName<J> : [M] extends [bigint] ? number : M;

/** A schedule to send. `cron`, `every`, `at` and `calendarOpens` make one. */
export interface ScheduleInput extends InputOf<typeof ScheduleSchema> {}

/** A job to send. A job that came back can be sent too: its output-only fields are ignored. */
export interface JobInput extends InputMessage<RawJob, JobJson> {
  /** The only schedule, instead of `schedules`. */
  readonly schedule?: ScheduleInput | undefined;
}
