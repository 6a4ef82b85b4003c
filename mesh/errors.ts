import { randomBytes } from "node:crypto";
import type { Reason } from "../gen/easycron/v1/reason_pb.ts";
import { Code } from "../gen/google/rpc/code_pb.ts";
import { printable } from "./printable.ts";

/** Name of an error, as google.rpc.ErrorInfo.reason carries it. Source: proto/easycron/v1/reason.proto. */
export type ReasonName = Exclude<keyof typeof Reason, "UNSPECIFIED">;

/** One broken rule of a request. */
export interface FieldViolation {
  /** JSON path as sent, such as `job.schedules[0].cron.expression`. */
  field: string;
  /** What is wrong, which value it has, and what is accepted; shown to the customer. */
  description: string;
}

interface ReasonRow {
  readonly code: number;
  /** Each {slot} takes its text from the error's metadata. */
  readonly sentence: string;
}

/**
 * The canonical gRPC code and the sentence of every reason. No other place picks a code. A sentence says what is
 * wrong, which value is wrong, and what to do, in that order.
 */
export const REASONS: Readonly<Record<ReasonName, ReasonRow>> = {
  API_KEY_MISSING: {
    code: Code.UNAUTHENTICATED,
    sentence: 'The header "Authorization: Bearer <API key>" is missing or malformed; send it with this call.',
  },
  API_KEY_INVALID: {
    code: Code.UNAUTHENTICATED,
    sentence: "The API key is not valid for this call: {problem}",
  },
  OPERATOR_KEY_REQUIRED: {
    code: Code.PERMISSION_DENIED,
    sentence: "A project's API key may not call {method}; use the operator's key.",
  },
  PROJECT_KEY_REQUIRED: {
    code: Code.PERMISSION_DENIED,
    sentence:
      "The operator's key may not call {method}; use the API key of a project, which CreateApiKey makes.",
  },
  REQUEST_MALFORMED: { code: Code.INVALID_ARGUMENT, sentence: "The request could not be decoded: {problem}" },
  FIELD_INVALID: { code: Code.INVALID_ARGUMENT, sentence: "{field}: {problem}" },
  SCHEDULE_INVALID: { code: Code.INVALID_ARGUMENT, sentence: "{field}: {problem}" },
  SCHEDULE_NEVER_FIRES: {
    code: Code.INVALID_ARGUMENT,
    sentence: "{field}: {problem}",
  },
  TIME_ZONE_UNKNOWN: {
    code: Code.INVALID_ARGUMENT,
    sentence:
      '{field}: "{value}" is not the exact name of a zone in the IANA time zone database; use one such as "Europe/Paris".',
  },
  URL_INVALID: {
    code: Code.INVALID_ARGUMENT,
    sentence: '{field}: "{value}" is not a URL that can be called: {problem}',
  },
  TARGET_FORBIDDEN: {
    code: Code.INVALID_ARGUMENT,
    sentence: '{field}: "{value}" may not be called: {problem}',
  },
  HEADER_RESERVED: {
    code: Code.INVALID_ARGUMENT,
    sentence: '{field}: EasyCron or HTTP reserves the header "{header}"; leave it out.',
  },
  PAGE_TOKEN_INVALID: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'pageToken "{token}" is not valid for this list; start again without it.',
  },
  REQUEST_ID_REUSED: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'requestId "{requestId}" was used for a different request; use a new one.',
  },
  UPDATE_MASK_INVALID: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'updateMask names "{path}", which is not a field that can be changed; accepted: {accepted}.',
  },
  CALENDAR_INVALID: { code: Code.INVALID_ARGUMENT, sentence: '{field}: "{value}": {problem}' },
  CALENDAR_NEVER_OPENS: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'The calendar "{calendar}" is never open again: {problem}',
  },
  JOB_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no job named "{job}" in this project; ListJobs gives the names.',
  },
  TRIGGER_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no trigger "{trigger}" in this project; ListTriggers gives the ids.',
  },
  PROJECT_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no project "{project}"; check its id.' },
  CALENDAR_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no calendar named "{calendar}" in this project; ListCalendars gives the names.',
  },
  FIRE_TIME_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'The job "{job}" has no fire time at {time}; ListFireTimes gives its fire times.',
  },
  OPERATION_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no operation "{operation}" in this project; ListOperations gives the ids.',
  },
  API_KEY_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no API key "{id}"; ListApiKeys gives the ids of a project\'s keys.',
  },
  SIGNING_KEY_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'There is no signing key "{id}" in this project; ListSigningKeys gives the ids.',
  },
  REVISION_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'The job "{job}" has no revision {revision}; its latest revision is {last}.',
  },
  SERVICE_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'This server has no service "{service}"; leave the name empty to ask about the whole server.',
  },
  JOB_ALREADY_EXISTS: {
    code: Code.ALREADY_EXISTS,
    sentence: 'There is already a job named "{job}" in this project; use another name, or update that job.',
  },
  CALENDAR_ALREADY_EXISTS: {
    code: Code.ALREADY_EXISTS,
    sentence:
      'There is already a calendar named "{calendar}" in this project; use another name, or update that calendar.',
  },
  ETAG_MISMATCH: {
    code: Code.ABORTED,
    sentence: '"{name}" has changed: its etag is "{current}", not "{given}"; read it and try again.',
  },
  PLUGIN_NOT_ENABLED: {
    code: Code.FAILED_PRECONDITION,
    sentence: "{field}: {problem}",
  },
  PLUGIN_NOT_AVAILABLE: {
    code: Code.FAILED_PRECONDITION,
    sentence: "The {plugin} plugin is not available on this server; ask its operator to set it up.",
  },
  PLUGIN_IN_USE: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      "The {plugin} plugin is the target of {count} jobs, such as {jobs}; change or delete them first, or set force to pause them.",
  },
  CALENDAR_IN_USE: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      'The calendar "{calendar}" is in use by {count} jobs, such as {jobs}; change or delete them first.',
  },
  FIRE_TIME_DECIDED: {
    code: Code.FAILED_PRECONDITION,
    sentence: 'The fire time {time} of the job "{job}" can no longer be skipped: {problem}',
  },
  API_KEY_ENDED: {
    code: Code.FAILED_PRECONDITION,
    sentence: 'The API key "{id}" cannot be rotated: {problem} Create a key with CreateApiKey.',
  },
  TRIGGER_NOT_REPLAYABLE: {
    code: Code.FAILED_PRECONDITION,
    sentence: 'The trigger "{trigger}" cannot be replayed: {problem}',
  },
  ACKNOWLEDGEMENT_TOKEN_INVALID: {
    code: Code.UNAUTHENTICATED,
    sentence:
      "The token does not belong to an attempt of this trigger; send the id and the token as they came in webhook-id and easycron-ack-token.",
  },
  OPERATION_LIMIT_REACHED: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      "{limit} replays of the project are running, as many as may run at once. Wait until one has ended, or end one with CancelOperation.",
  },
  OUT_OF_RETENTION: { code: Code.OUT_OF_RANGE, sentence: "{field}: {problem}" },
  SIGNING_KEY_ENDED: {
    code: Code.FAILED_PRECONDITION,
    sentence: 'The signing key "{id}" cannot be rotated: {problem} Create a key with CreateSigningKey.',
  },
  SIGNING_KEY_REQUIRED: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      'The signing key "{id}" cannot be revoked, because no other key of this project signs without an end; create one with CreateSigningKey first.',
  },
  SIGNING_KEY_LIMIT_REACHED: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      "This project has {count} active {kind} keys, which is the limit; revoke one that no receiver needs.",
  },
  // These two are not RESOURCE_EXHAUSTED, which is HTTP 429: libraries repeat such a request.
  REQUEST_TOO_LARGE: {
    code: Code.INVALID_ARGUMENT,
    sentence: "The request is too large; send at most {maxBytes} bytes.",
  },
  READ_TOO_COSTLY: {
    code: Code.INVALID_ARGUMENT,
    sentence:
      "The read took too long and was ended; narrow its filter or its time range, or ask for a smaller page.",
  },
  TOO_MANY_CALLS: {
    code: Code.RESOURCE_EXHAUSTED,
    sentence: "Too many calls of this project run at the same time; try the same call again in a second.",
  },
  METHOD_UNIMPLEMENTED: {
    code: Code.UNIMPLEMENTED,
    sentence: "This server has no method {method}; check its name.",
  },
  SERVICE_UNAVAILABLE: {
    code: Code.UNAVAILABLE,
    sentence: "The {service} does not answer now; try the same call again later.",
  },
  DEADLINE_EXCEEDED: {
    code: Code.DEADLINE_EXCEEDED,
    sentence: "The call did not finish before its deadline; try again, or allow more time.",
  },
  CANCELLED: { code: Code.CANCELLED, sentence: "The caller cancelled the call." },
  INTERNAL: {
    code: Code.INTERNAL,
    sentence: "EasyCron failed on this call; report the error id {errorId}, which is in its logs.",
  },
};

interface EasyCronErrorInit {
  readonly reason: ReasonName;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly cause?: unknown;
}

/** The only error class. Its message and metadata may be sent to a caller; its cause is for the logs only. */
export class EasyCronError extends Error {
  override readonly name = "EasyCronError";
  readonly reason: ReasonName;
  /** The value of every slot of the sentence, each at most 256 characters. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The broken rules, one entry for each field; empty unless the request is wrong. */
  readonly violations: readonly FieldViolation[];
  /** How long to wait before the next try, in milliseconds; undefined when the error suggests no time. */
  readonly retryAfterMs: number | undefined;

  constructor(init: EasyCronErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.reason = init.reason;
    this.metadata = init.metadata;
    this.violations = init.violations;
    this.retryAfterMs = init.retryAfterMs;
  }

  /** The canonical gRPC code of the reason. */
  get code(): number {
    return REASONS[this.reason].code;
  }

  /**
   * Returns an EasyCronError as it is. Turns anything else into INTERNAL with a new random id, and keeps it as the
   * cause.
   */
  static from(error: unknown): EasyCronError {
    if (error instanceof EasyCronError) return error;
    return failure("INTERNAL", { errorId: `err_${randomBytes(8).toString("hex")}` }, { cause: error });
  }
}

/** What an error carries besides its reason and metadata. */
export interface FailureOptions {
  violations?: FieldViolation[];
  /** How long to wait before the next try, in milliseconds. */
  retryAfterMs?: number;
  /** Logged, never sent. */
  cause?: unknown;
}

const MAX_METADATA_LENGTH = 256;

/** Creates an error. Its message is the reason's sentence with every {slot} filled from `metadata`. */
export function failure(
  reason: ReasonName,
  metadata: Record<string, string> = {},
  options: FailureOptions = {},
): EasyCronError {
  const bounded = Object.entries(metadata).map(([key, value]) => [
    key,
    printable(value, MAX_METADATA_LENGTH),
  ]);
  return new EasyCronError({
    reason,
    message: fillSentence(REASONS[reason].sentence, metadata),
    metadata: Object.fromEntries(bounded),
    violations: options.violations ?? [],
    retryAfterMs: options.retryAfterMs,
    cause: options.cause,
  });
}

/**
 * Creates the error of one field of the request. The field's path and the problem are in the message and in a
 * violation.
 */
export function fieldFailure(
  reason: ReasonName,
  field: string,
  problem: string,
  metadata: Record<string, string> = {},
): EasyCronError {
  const violations = [{ field, description: problem }];
  return failure(reason, { field, problem, ...metadata }, { violations });
}

const LONG_SLOTS = new Set(["problem", "accepted"]);

function fillSentence(sentence: string, metadata: Record<string, string>): string {
  return sentence.replace(/\{(\w+)\}/g, (_, slot: string) =>
    printable(metadata[slot] ?? "(not given)", LONG_SLOTS.has(slot) ? MAX_METADATA_LENGTH : undefined),
  );
}
