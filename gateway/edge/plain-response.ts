import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { Code, type ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { type EasyCronError, failure } from "../../mesh/errors.ts";
import { toStatus } from "../../mesh/grpc-status.ts";
import { printable } from "../../mesh/printable.ts";
import { toConnectError } from "./connect-error.ts";
import type { NodeRequest, NodeResponse } from "./drain-unread.ts";

/** Answers a request for a path that no method has, in the protocol of the caller. In JSON the status is HTTP 404. */
export function answerUnknownMethod(request: NodeRequest, response: NodeResponse): void {
  const method = printable((request.url ?? "").split("?")[0] ?? "");
  answerError(request, response, { error: failure("METHOD_UNIMPLEMENTED", { method }), httpStatus: 404 });
}

/** Answers a request that follows none of the protocols, with the given HTTP status. */
export function answerMalformed(
  request: NodeRequest,
  response: NodeResponse,
  options: { readonly problem: string; readonly httpStatus: number },
): void {
  const error = failure("REQUEST_MALFORMED", { problem: options.problem });
  answerError(request, response, { error, httpStatus: options.httpStatus });
}

interface Answer {
  readonly error: EasyCronError;
  readonly httpStatus: number;
}

function answerError(request: NodeRequest, response: NodeResponse, { error, httpStatus }: Answer): void {
  const contentType = request.headers["content-type"] ?? "";
  if (contentType.startsWith("application/grpc")) {
    const status = toStatus(error);
    respond(response, 200, {
      "content-type": contentType,
      "grpc-status": `${status.code}`,
      "grpc-message": encodeURIComponent(status.message),
      "grpc-status-details-bin": base64Encode(
        toBinary(StatusSchema, create(StatusSchema, status)),
        "std_raw",
      ),
    });
  } else {
    const body = JSON.stringify(toErrorJson(toConnectError(error)));
    respond(response, httpStatus, { "content-type": "application/json" }, body);
  }
}

function respond(
  response: NodeResponse,
  httpStatus: number,
  headers: Record<string, string>,
  body = "",
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = httpStatus;
  // The call stands here twice because TypeScript cannot combine the overloads of the two classes.
  if ("stream" in response) response.end(body);
  else response.end(body);
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
  return { code, message: error.rawMessage, details };
}
