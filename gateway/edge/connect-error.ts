import { create, createRegistry, type DescMessage, type Message } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.ts";
import { currentCall } from "../../mesh/current-call.ts";
import type { EasyCronError } from "../../mesh/errors.ts";
import { toStatus } from "../../mesh/grpc-status.ts";

/** The messages in the details of errors. JSON answers show them in `debug`. */
export const detailTypes = createRegistry(
  ErrorInfoSchema,
  BadRequestSchema,
  RetryInfoSchema,
  RequestInfoSchema,
);

/**
 * Converts an error to the form that Connect sends, with its details, and the request id of the call as
 * google.rpc.RequestInfo. A retry delay also becomes the header
 * Retry-After, in seconds. `toLoggedError` makes an EasyCronError of any error.
 */
export function toConnectError(known: EasyCronError): ConnectError {
  const { code, message, details } = toStatus(known);
  const outgoing: { desc: DescMessage; value: Message }[] = details.flatMap((any) => {
    const desc = detailTypes.getMessage(any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1));
    const value = anyUnpack(any, detailTypes);
    return desc === undefined || value === undefined ? [] : [{ desc, value }];
  });
  const call = currentCall();
  if (call !== undefined) {
    const value = create(RequestInfoSchema, { requestId: call.requestId });
    outgoing.push({ desc: RequestInfoSchema, value });
  }
  const headers: Record<string, string> =
    known.retryAfterMs === undefined ? {} : { "retry-after": `${Math.ceil(known.retryAfterMs / 1_000)}` };
  // Connect's codes have the same numbers as gRPC's.
  return new ConnectError(message, code as Code, headers, outgoing, known.cause ?? known);
}
