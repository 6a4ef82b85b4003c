import { Code, ConnectError } from "@connectrpc/connect";
import type { Reason } from "./gen/easycron/v1/reason_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.ts";

const CODES = {
  [Code.Canceled]: "CANCELLED",
  [Code.Unknown]: "UNKNOWN",
  [Code.InvalidArgument]: "INVALID_ARGUMENT",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.NotFound]: "NOT_FOUND",
  [Code.AlreadyExists]: "ALREADY_EXISTS",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.ResourceExhausted]: "RESOURCE_EXHAUSTED",
  [Code.FailedPrecondition]: "FAILED_PRECONDITION",
  [Code.Aborted]: "ABORTED",
  [Code.OutOfRange]: "OUT_OF_RANGE",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.Internal]: "INTERNAL",
  [Code.Unavailable]: "UNAVAILABLE",
  [Code.DataLoss]: "DATA_LOSS",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
} as const;

/** The canonical code of an error. */
export type EasyCronErrorCode = (typeof CODES)[Code];

/** The stable name of an error. A newer server may send one that this version does not know. */
export type EasyCronErrorReason = Exclude<keyof typeof Reason, "UNSPECIFIED"> | (string & {});

/** One broken rule of a request. */
export interface FieldViolation {
  /** JSON path as sent, such as `job.schedules[0].cron.expression`. */
  readonly field: string;
  /** What is wrong, which value it has, and what is accepted. */
  readonly description: string;
}

interface Parts {
  readonly code: EasyCronErrorCode;
  readonly reason?: EasyCronErrorReason | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fieldViolations?: readonly FieldViolation[];
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The error that every call of the client throws. Its message says what is wrong, which value is wrong, and what to
 * do.
 */
export class EasyCronError extends Error {
  override readonly name = "EasyCronError";
  /** The canonical code, such as NOT_FOUND. */
  readonly code: EasyCronErrorCode;
  /**
   * The stable name, such as JOB_NOT_FOUND. Undefined when EasyCron did not answer, for example when the network
   * failed, and when the server does not have the method (the code is UNIMPLEMENTED).
   */
  readonly reason: EasyCronErrorReason | undefined;
  /** The values in the message, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields that break a rule. Empty if no field is wrong. */
  readonly fieldViolations: readonly FieldViolation[];
  /** How long to wait before the same call is sent again, in milliseconds. Undefined when the server does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, parts: Parts) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = parts.code;
    this.reason = parts.reason;
    this.metadata = parts.metadata ?? {};
    this.fieldViolations = parts.fieldViolations ?? [];
    this.retryAfterMs = parts.retryAfterMs;
  }

  /** Converts anything that a call threw. The original error is the cause. */
  static from(error: unknown): EasyCronError {
    if (error instanceof EasyCronError) return error;
    const connectError = ConnectError.from(error);
    const [info] = connectError.findDetails(ErrorInfoSchema);
    const violations = connectError.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    const [retry] = connectError.findDetails(RetryInfoSchema);
    return new EasyCronError(connectError.rawMessage, {
      code: CODES[connectError.code],
      reason: info?.reason,
      metadata: { ...info?.metadata },
      fieldViolations: violations.map(({ field, description }) => ({ field, description })),
      retryAfterMs: toMs(retry?.retryDelay),
      cause: error,
    });
  }
}

function toMs(duration: { seconds: bigint; nanos: number } | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1_000 + Math.ceil(duration.nanos / 1e6);
}
