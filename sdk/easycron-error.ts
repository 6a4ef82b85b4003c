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

/** What an error consists of besides its message. */
export interface EasyCronErrorParts {
  readonly code: EasyCronErrorCode;
  readonly reason?: EasyCronErrorReason | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly violations?: readonly FieldViolation[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly requestId?: string | undefined;
  readonly callId?: string | undefined;
  readonly traceId?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The error that every call of the client throws. Its message says what is wrong, which value is wrong, and what to
 * do. The more common codes have classes of their own.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof EasyCronError)) throw error;
 *   console.log(error.code, error.reason, error.message);
 * }
 * ```
 */
export class EasyCronError extends Error {
  override readonly name: string = "EasyCronError";
  /** The canonical code, such as NOT_FOUND. */
  readonly code: EasyCronErrorCode;
  /**
   * The stable name, such as JOB_NOT_FOUND. Undefined when EasyCron did not answer, for example when the network
   * failed, and when the server does not have the method (the code is UNIMPLEMENTED).
   */
  readonly reason: EasyCronErrorReason | undefined;
  /** The values in the message, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long to wait before the same call is sent again, in milliseconds. Undefined when the server does not say. */
  readonly retryAfterMs: number | undefined;
  /**
   * The request id under which the call was sent. The same call with this id is safe to repeat. Undefined for a method
   * that takes none.
   */
  readonly requestId: string | undefined;
  /**
   * The id of the call in EasyCron's log lines and traces: the answer's x-request-id. Tell it when you report a problem.
   * Undefined when EasyCron did not answer.
   */
  readonly callId: string | undefined;
  /** The id of the call's OpenTelemetry trace, 32 hex digits. Undefined when EasyCron did not answer. */
  readonly traceId: string | undefined;

  constructor(message: string, parts: EasyCronErrorParts) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = parts.code;
    this.reason = parts.reason;
    this.metadata = parts.metadata ?? {};
    this.retryAfterMs = parts.retryAfterMs;
    this.requestId = parts.requestId;
    this.callId = parts.callId;
    this.traceId = parts.traceId;
  }

  /**
   * Converts anything that a call threw, into the class of its code. The original error is the cause. `requestId` is
   * the one that the call was sent with.
   */
  static from(error: unknown, requestId?: string): EasyCronError {
    if (error instanceof EasyCronError) return error;
    const connectError = ConnectError.from(error);
    const code = CODES[connectError.code];
    const [info] = connectError.findDetails(ErrorInfoSchema);
    const violations = connectError.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    const [retry] = connectError.findDetails(RetryInfoSchema);
    const Class = CLASSES[code] ?? EasyCronError;
    return new Class(connectError.rawMessage, {
      code,
      reason: info?.reason,
      metadata: { ...info?.metadata },
      violations: violations.map(({ field, description }) => ({ field, description })),
      retryAfterMs: toMs(retry?.retryDelay),
      requestId,
      callId: connectError.metadata.get("x-request-id") ?? undefined,
      traceId: /^00-([0-9a-f]{32})-/.exec(connectError.metadata.get("traceresponse") ?? "")?.[1],
      cause: error,
    });
  }
}

/**
 * A request with a wrong field (INVALID_ARGUMENT or OUT_OF_RANGE), refused by the client or by the server.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof InvalidArgumentError)) throw error;
 *   for (const { field, description } of error.violations) console.log(field, description);
 * }
 * ```
 */
export class InvalidArgumentError extends EasyCronError {
  override readonly name = "InvalidArgumentError";
  /** The fields that break a rule. */
  readonly violations: readonly FieldViolation[];

  constructor(message: string, parts: EasyCronErrorParts) {
    super(message, parts);
    this.violations = parts.violations ?? [];
  }

  /** Makes the error of a request that the client itself refuses. Nothing was sent. */
  static forViolations(violations: readonly FieldViolation[]): InvalidArgumentError {
    const message = violations
      .map(({ field, description }) => `${field || "the request"} ${description}`)
      .join(" ");
    return new InvalidArgumentError(message, {
      code: "INVALID_ARGUMENT",
      reason: "FIELD_INVALID",
      violations,
    });
  }
}

/**
 * An API key that is missing or not valid (UNAUTHENTICATED).
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof UnauthenticatedError)) throw error;
 *   console.log("check EASYCRON_API_KEY:", error.message);
 * }
 * ```
 */
export class UnauthenticatedError extends EasyCronError {
  override readonly name = "UnauthenticatedError";
}

/**
 * A valid API key that may not call the method (PERMISSION_DENIED).
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof PermissionDeniedError)) throw error;
 *   console.log("this key may not do it:", error.message);
 * }
 * ```
 */
export class PermissionDeniedError extends EasyCronError {
  override readonly name = "PermissionDeniedError";
}

/**
 * Something that does not exist in the project (NOT_FOUND).
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof NotFoundError)) throw error;
 *   console.log("there is no job", error.metadata.job);
 * }
 * ```
 */
export class NotFoundError extends EasyCronError {
  override readonly name = "NotFoundError";
}

/**
 * A call that does not fit the present state: something exists already, has changed since it was read, or is in a
 * state that does not allow the call (ALREADY_EXISTS, ABORTED, FAILED_PRECONDITION).
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof ConflictError)) throw error;
 *   console.log("read it again:", error.reason);
 * }
 * ```
 */
export class ConflictError extends EasyCronError {
  override readonly name = "ConflictError";
}

/**
 * A limit that is used up (RESOURCE_EXHAUSTED). `retryAfterMs` says when to try again, if that helps.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof RateLimitedError)) throw error;
 *   console.log("again in", error.retryAfterMs, "ms");
 * }
 * ```
 */
export class RateLimitedError extends EasyCronError {
  override readonly name = "RateLimitedError";
}

/**
 * A server that cannot be reached, or cannot serve the call now (UNAVAILABLE).
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof UnavailableError)) throw error;
 *   console.log("later:", error.message);
 * }
 * ```
 */
export class UnavailableError extends EasyCronError {
  override readonly name = "UnavailableError";
}

/**
 * A call whose time was used up (DEADLINE_EXCEEDED). It may have had its effect.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof TimeoutError)) throw error;
 *   console.log("it may have had its effect:", error.requestId);
 * }
 * ```
 */
export class TimeoutError extends EasyCronError {
  override readonly name = "TimeoutError";
}

/**
 * A call that its AbortSignal ended, or an operation that was cancelled (CANCELLED). The call may have had its effect.
 *
 * @example
 * ```ts
 * try {
 *   await easycron.jobs.get("payroll");
 * } catch (error) {
 *   if (!(error instanceof CancelledError)) throw error;
 *   console.log("the signal was aborted");
 * }
 * ```
 */
export class CancelledError extends EasyCronError {
  override readonly name = "CancelledError";
}

const CLASSES: Readonly<Partial<Record<EasyCronErrorCode, typeof EasyCronError>>> = {
  INVALID_ARGUMENT: InvalidArgumentError,
  OUT_OF_RANGE: InvalidArgumentError,
  UNAUTHENTICATED: UnauthenticatedError,
  PERMISSION_DENIED: PermissionDeniedError,
  NOT_FOUND: NotFoundError,
  ALREADY_EXISTS: ConflictError,
  ABORTED: ConflictError,
  FAILED_PRECONDITION: ConflictError,
  RESOURCE_EXHAUSTED: RateLimitedError,
  UNAVAILABLE: UnavailableError,
  DEADLINE_EXCEEDED: TimeoutError,
  CANCELLED: CancelledError,
};

function toMs(duration: { seconds: bigint; nanos: number } | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1_000 + Math.ceil(duration.nanos / 1e6);
}
