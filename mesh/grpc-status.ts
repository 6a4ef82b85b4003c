import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack, type Duration } from "@bufbuild/protobuf/wkt";
import { type Metadata, status } from "@grpc/grpc-js";
import { Reason } from "../gen/easycron/v1/reason_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import { EasyCronError, type FieldViolation, failure, type ReasonName } from "./errors.ts";
import { printable } from "./printable.ts";

/** An error in the form that gRPC sends. */
export interface GrpcStatus {
  /** The canonical code. */
  readonly code: number;
  readonly message: string;
  /** ErrorInfo first, then BadRequest if fields are wrong, then RetryInfo if there is a delay. */
  readonly details: Any[];
}

/** The domain of every google.rpc.ErrorInfo that this product sends. */
export const ERROR_DOMAIN = "easycron";

// The violations of a status have at most 5.25 KiB, which is 7 KiB in base64. gRPC's C core may refuse more than 8 KiB
// of trailers, and the gateway adds the call's request id. Usually some 40 violations fit.
const MAX_VIOLATION_BYTES = 5_376;
const MAX_FIELD_LENGTH = 128;
const MAX_DESCRIPTION_LENGTH = 256;

/** Converts an error to a status. Its cause is never sent. `toLoggedError` makes an EasyCronError of any error. */
export function toStatus(known: EasyCronError): GrpcStatus {
  const info = { reason: known.reason, domain: ERROR_DOMAIN, metadata: { ...known.metadata } };
  const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, info))];
  if (known.violations.length > 0) {
    const fieldViolations = fitting(known.violations);
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (known.retryAfterMs !== undefined) {
    const retryDelay = toDuration(known.retryAfterMs);
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  return { code: known.code, message: known.message, details };
}

/** Returns the first violations, as many as fit. If not all do, the last one says how many are left out. */
function fitting(violations: readonly FieldViolation[]): FieldViolation[] {
  const fitting: FieldViolation[] = [];
  let bytes = 0;
  for (const [index, { field, description }] of violations.entries()) {
    const shown = {
      field: printable(field, MAX_FIELD_LENGTH),
      description: printable(description, MAX_DESCRIPTION_LENGTH),
    };
    bytes += Buffer.byteLength(shown.field) + Buffer.byteLength(shown.description);
    if (bytes > MAX_VIOLATION_BYTES) {
      const more = violations.length - index - 1;
      const others = more === 0 ? "It is" : `This and ${more} more are`;
      fitting.push({
        field: shown.field,
        description: `${others} wrong too, and told when the others are right.`,
      });
      return fitting;
    }
    fitting.push(shown);
  }
  return fitting;
}

/** Encodes a status as the bytes of the trailer `grpc-status-details-bin`. */
export function encodeStatusDetails(value: GrpcStatus): Buffer {
  const bytes = toBinary(StatusSchema, create(StatusSchema, value));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What grpc-js reports about a failed call. */
export interface GrpcFailure {
  readonly code: number;
  /** The message of the peer, or of grpc-js itself. */
  readonly details: string;
  readonly metadata?: Metadata | undefined;
}

/**
 * Returns the error that a service has sent. If it has no details of EasyCron (the transport failed, or something
 * else answered), the code decides: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED and UNIMPLEMENTED keep their meaning,
 * all others become INTERNAL. `service` is the name of the service that was called.
 */
export function fromStatus(received: GrpcFailure, service: string): EasyCronError {
  const cause = new Error(`${service}: gRPC code ${received.code}: ${printable(received.details, 500)}`);
  return fromDetails(received, cause) ?? fromCode(received.code, service, cause);
}

function fromDetails(received: GrpcFailure, cause: Error): EasyCronError | undefined {
  const bytes = received.metadata?.get("grpc-status-details-bin")[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  let details: Any[];
  try {
    details = fromBinary(StatusSchema, bytes).details;
  } catch {
    return undefined;
  }
  const info = unpackFirst(details, (any) => anyUnpack(any, ErrorInfoSchema));
  if (info?.domain !== ERROR_DOMAIN || !isReasonName(info.reason)) return undefined;
  const badRequest = unpackFirst(details, (any) => anyUnpack(any, BadRequestSchema));
  const violations: FieldViolation[] = (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({
    field,
    description,
  }));
  const delay = unpackFirst(details, (any) => anyUnpack(any, RetryInfoSchema))?.retryDelay;
  return new EasyCronError({
    reason: info.reason,
    message: received.details,
    metadata: info.metadata,
    violations,
    retryAfterMs: delay === undefined ? undefined : toMs(delay),
    cause,
  });
}

function fromCode(code: number, service: string, cause: Error): EasyCronError {
  switch (code) {
    case status.UNAVAILABLE:
      return failure("SERVICE_UNAVAILABLE", { service }, { cause, retryAfterMs: 1_000 });
    case status.DEADLINE_EXCEEDED:
      return failure("DEADLINE_EXCEEDED", {}, { cause });
    case status.CANCELLED:
      return failure("CANCELLED", {}, { cause });
    case status.UNIMPLEMENTED:
      return failure("METHOD_UNIMPLEMENTED", { method: service }, { cause });
    default:
      return EasyCronError.from(cause);
  }
}

function unpackFirst<T>(details: readonly Any[], unpack: (any: Any) => T | undefined): T | undefined {
  for (const any of details) {
    const value = unpack(any);
    if (value !== undefined) return value;
  }
  return undefined;
}

function isReasonName(text: string): text is ReasonName {
  return text !== "UNSPECIFIED" && Object.hasOwn(Reason, text);
}

function toDuration(ms: number): { seconds: bigint; nanos: number } {
  const whole = Math.max(0, Math.ceil(ms));
  return { seconds: BigInt(Math.floor(whole / 1_000)), nanos: (whole % 1_000) * 1_000_000 };
}

function toMs(duration: Duration): number {
  return Number(duration.seconds) * 1_000 + Math.ceil(duration.nanos / 1_000_000);
}
