import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";
import { toConnectError } from "./connect-error.ts";
import type { NodeRequest, NodeResponse } from "./drain-unread.ts";

// With a bare "application/json", the conformance suite would look for an error of Connect also where its client speaks
// another protocol and reads no body.
const JSON_TYPE = "application/json; charset=utf-8";

/** Why a request is no call of a method. */
export interface Refusal {
  /** What is wrong, which value is wrong, and what to do. */
  readonly message: string;
  readonly httpStatus: 400 | 404 | 405 | 415 | 505;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Answers a request that is no call of a method, in the protocol of the caller. A status of 404, 405, 415 or 505
 * says what is wrong by itself. The Connect conformance suite demands the code that a client would derive from the
 * status, and no details. A status of 400 has REQUEST_MALFORMED with its details.
 */
export function answerRefusal(request: NodeRequest, response: NodeResponse, refusal: Refusal): void {
  for (const [name, value] of Object.entries(refusal.headers ?? {})) response.setHeader(name, value);
  const error = toError(refusal);
  const contentType = request.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc")) {
    answerGrpc(response, error, contentType);
    return;
  }
  response.setHeader("content-type", JSON_TYPE);
  response.statusCode = refusal.httpStatus;
  const body = JSON.stringify(toErrorJson(error));
  // The call stands here twice because TypeScript cannot combine the overloads of the two classes.
  if ("stream" in response) response.end(body);
  else response.end(body);
}

/** Returns the refusal of a path that no method has. */
export function unknownMethod(request: NodeRequest): Refusal {
  const method = printable((request.url ?? "").split("?")[0] ?? "");
  return { message: failure("METHOD_UNIMPLEMENTED", { method }).message, httpStatus: 404 };
}

function toError({ message, httpStatus }: Refusal): ConnectError {
  if (httpStatus === 400) return toConnectError(failure("REQUEST_MALFORMED", { problem: message }));
  return new ConnectError(message, httpStatus === 404 ? Code.Unimplemented : Code.Unknown);
}

/**
 * Sends an error as a gRPC answer without messages: one block of headers that also ends the stream. Over HTTP/2 no
 * empty DATA frame may follow, because clients then wait for trailers: grpc-go reports "server closed the stream
 * without sending trailers".
 */
function answerGrpc(response: NodeResponse, error: ConnectError, contentType: string): void {
  const details = error.details.flatMap((detail) =>
    "desc" in detail ? [anyPack(detail.desc, create(detail.desc, detail.value))] : [],
  );
  response.statusCode = 200;
  response.setHeader("content-type", toGrpcContentType(contentType));
  response.setHeader("grpc-status", `${error.code}`);
  response.setHeader("grpc-message", encodeURIComponent(error.rawMessage));
  if (details.length > 0) {
    const status = create(StatusSchema, { code: error.code, message: error.rawMessage, details });
    response.setHeader("grpc-status-details-bin", base64Encode(toBinary(StatusSchema, status), "std_raw"));
  }
  // An argument, even an empty text, would make a DATA frame.
  response.end();
}

/** Returns the content type of the request, or the one without a codec if its codec is unknown. */
function toGrpcContentType(contentType: string): string {
  const [known, bare] =
    /^(application\/grpc(?:-web)?(?:-text)?)(?:\+(?:proto|json))?$/.exec(contentType) ?? [];
  if (known !== undefined && bare !== undefined) return known;
  return contentType.startsWith("application/grpc-web") ? "application/grpc-web+proto" : "application/grpc";
}

/** Returns the JSON of an error: https://connectrpc.com/docs/protocol#error-end-stream. */
function toErrorJson(error: ConnectError): object {
  const details = error.details.flatMap((detail) => {
    if (!("desc" in detail)) return [];
    const message = create(detail.desc, detail.value);
    const value = base64Encode(toBinary(detail.desc, message), "std_raw");
    return [{ type: detail.desc.typeName, value, debug: toJson(detail.desc, message) }];
  });
  // The enum has CamelCase names, the wire has snake_case.
  const code = (Code[error.code] ?? "Unknown")
    .replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`)
    .toLowerCase();
  return { code, message: error.rawMessage, ...(details.length > 0 && { details }) };
}
