import { randomBytes } from "node:crypto";
import type { Reason } from "../gen/easycron/v1/reason_pb.ts";
import { Code } from "../gen/google/rpc/code_pb.ts";
import { printable } from "./printable.ts";

/** Name of an error, as it travels in google.rpc.ErrorInfo.reason. Source: proto/easycron/v1/reason.proto. */
export type ReasonName = Exclude<keyof typeof Reason, "UNSPECIFIED">;

/** One broken rule of a request. */
export interface FieldViolation {
  /** JSON path as sent, such as `job.schedules[0].cron.expression`. */
  field: string;
  /** What was wrong, with which value, and what would be right; shown to the customer. */
  description: string;
}

interface ReasonRow {
  readonly code: number;
  /** Each {slot} is filled from the error's metadata. */
  readonly sentence: string;
}

/** Canonical gRPC code and sentence of every reason. Nobody picks a code anywhere else. */
export const REASONS: Readonly<Record<ReasonName, ReasonRow>> = {
  API_KEY_MISSING: {
    code: Code.UNAUTHENTICATED,
    sentence: 'This call needs the header "Authorization: Bearer <API key>".',
  },
  API_KEY_INVALID: { code: Code.UNAUTHENTICATED, sentence: "No live API key has this secret." },
  OPERATOR_KEY_REQUIRED: {
    code: Code.PERMISSION_DENIED,
    sentence: "Only the operator's key may call {method}.",
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
    sentence: '{field}: "{value}" is not the exact name of a zone in the IANA time zone database.',
  },
  URL_INVALID: { code: Code.INVALID_ARGUMENT, sentence: '{field}: "{value}" cannot be called: {problem}' },
  TARGET_FORBIDDEN: {
    code: Code.INVALID_ARGUMENT,
    sentence: '{field}: "{value}" may not be called from here: {problem}',
  },
  HEADER_RESERVED: {
    code: Code.INVALID_ARGUMENT,
    sentence: '{field}: the header "{header}" is set by EasyCron or reserved by HTTP; leave it out.',
  },
  PAGE_TOKEN_INVALID: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'This list did not give the page token "{token}"; start again without one.',
  },
  REQUEST_ID_REUSED: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'The request id "{requestId}" was used for a different request; take a new one.',
  },
  UPDATE_MASK_INVALID: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'The update mask names "{path}"; it may name {accepted}.',
  },
  CALENDAR_INVALID: { code: Code.INVALID_ARGUMENT, sentence: '{field}: "{value}": {problem}' },
  CALENDAR_NEVER_OPENS: {
    code: Code.INVALID_ARGUMENT,
    sentence: 'The calendar "{calendar}" would never be open again: {problem}',
  },
  JOB_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no job named "{job}".' },
  TRIGGER_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no trigger "{trigger}".' },
  PROJECT_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no project "{project}".' },
  CALENDAR_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no calendar named "{calendar}".' },
  FIRE_TIME_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'The job "{job}" has no fire time at {time}; ListFireTimes gives those it has.',
  },
  OPERATION_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'There is no operation "{operation}".' },
  REVISION_NOT_FOUND: {
    code: Code.NOT_FOUND,
    sentence: 'The job "{job}" has no revision {revision}; its last is {last}.',
  },
  SERVICE_NOT_FOUND: { code: Code.NOT_FOUND, sentence: 'This server has no service "{service}".' },
  JOB_ALREADY_EXISTS: { code: Code.ALREADY_EXISTS, sentence: 'There is already a job named "{job}".' },
  CALENDAR_ALREADY_EXISTS: {
    code: Code.ALREADY_EXISTS,
    sentence: 'There is already a calendar named "{calendar}".',
  },
  ETAG_MISMATCH: {
    code: Code.ABORTED,
    sentence: '"{name}" has changed: its etag is "{current}", not "{given}". Read it and try again.',
  },
  PLUGIN_NOT_ENABLED: {
    code: Code.FAILED_PRECONDITION,
    sentence: "{field}: the {plugin} plugin is not enabled for this project.",
  },
  CALENDAR_IN_USE: {
    code: Code.FAILED_PRECONDITION,
    sentence:
      'The calendar "{calendar}" is in use by {count} jobs, such as {jobs}; change or delete them first.',
  },
  FIRE_TIME_DECIDED: {
    code: Code.FAILED_PRECONDITION,
    sentence: 'The fire time {time} of the job "{job}" cannot be skipped any more: {problem}',
  },
  REQUEST_TOO_LARGE: {
    code: Code.RESOURCE_EXHAUSTED,
    sentence: "The request is larger than the {maxBytes} bytes that are read.",
  },
  METHOD_UNIMPLEMENTED: { code: Code.UNIMPLEMENTED, sentence: "This server has no method {method}." },
  SERVICE_UNAVAILABLE: {
    code: Code.UNAVAILABLE,
    sentence: "The {service} does not answer now; the same call may succeed later.",
  },
  DEADLINE_EXCEEDED: { code: Code.DEADLINE_EXCEEDED, sentence: "The time for this call was used up." },
  CANCELLED: { code: Code.CANCELLED, sentence: "The caller went away." },
  INTERNAL: {
    code: Code.INTERNAL,
    sentence: "A fault of ours. Our logs know it as {errorId}.",
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

/** The one error class: what may be said to a caller, and a cause that is for the logs only. */
export class EasyCronError extends Error {
  override readonly name = "EasyCronError";
  readonly reason: ReasonName;
  /** Every slot of the sentence; at most 256 characters a value. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Broken rules, field by field; empty unless the request was wrong. */
  readonly violations: readonly FieldViolation[];
  /** Earliest moment for another try, in milliseconds from now; undefined when there is none. */
  readonly retryAfterMs: number | undefined;

  constructor(init: EasyCronErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.reason = init.reason;
    this.metadata = init.metadata;
    this.violations = init.violations;
    this.retryAfterMs = init.retryAfterMs;
  }

  /** Canonical gRPC code, from the table. */
  get code(): number {
    return REASONS[this.reason].code;
  }

  /** The error itself if it is one of ours; anything else becomes INTERNAL under a new opaque id, with it as cause. */
  static from(error: unknown): EasyCronError {
    if (error instanceof EasyCronError) return error;
    return failure("INTERNAL", { errorId: `err_${randomBytes(8).toString("hex")}` }, { cause: error });
  }
}

/** What an error carries beside its reason and metadata. */
export interface FailureOptions {
  violations?: FieldViolation[];
  /** Milliseconds from now. */
  retryAfterMs?: number;
  /** Logged, never sent. */
  cause?: unknown;
}

const MAX_METADATA_LENGTH = 256;

/** Makes an error: its message is the reason's sentence with every {slot} filled from `metadata`. */
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

/** Makes the error of one field of the request: its path and problem are in the sentence and in a violation. */
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
