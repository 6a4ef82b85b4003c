import type { DescMethod } from "@bufbuild/protobuf";
import { type ConnectRouter, type ConnectRouterOptions, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { startCallSpan } from "../../mesh/call-span.ts";
import { type CurrentCall, serveCall, toRequestId } from "../../mesh/current-call.ts";
import type { Logger } from "../../mesh/logger.ts";
import { printable } from "../../mesh/printable.ts";
import type { Telemetry } from "../../mesh/telemetry.ts";
import { parseTraceparent } from "../../mesh/trace.ts";
import {
  ACKNOWLEDGE_PATH,
  limitBody,
  type NamedAttempt,
  parseAcknowledgePath,
  toAcknowledgeCall,
} from "./acknowledge-url.ts";
import type { NodeListener, NodeRequest, NodeResponse } from "./drain-unread.ts";
import { findQueryProblem } from "./get-query.ts";
import { answerRefusal, type Refusal, unknownMethod } from "./plain-response.ts";
import { withRequestText } from "./request-text.ts";

/** The options of the listener, besides Connect's own. */
export interface RpcListenerOptions extends ConnectRouterOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Longer deadlines of callers are shortened to this, in milliseconds. */
  readonly maxDeadlineMs: number;
  readonly logger: Logger;
  /** Makes the spans of calls. Absent, or without a tracer, when nobody gets them. */
  readonly telemetry?: CallTelemetry | undefined;
}

type CallTelemetry = Pick<Telemetry, "callTracer" | "isSampled">;

/**
 * Creates a Node listener that serves gRPC, gRPC-Web and Connect. It does what connect-node's adapter does, with
 * three differences: a malformed Host header gets an answer and does not end the process, a deadline that is too long
 * is shortened and not refused, and a request that is no call of a method gets an answer that says why.
 */
export function createRpcListener(options: RpcListenerOptions): NodeListener {
  const { routes, maxDeadlineMs, logger, telemetry, ...routerOptions } = options;
  const router = createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    ...routerOptions,
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const named = parseAcknowledgePath(path);
    const handler = handlers.get(named === undefined ? path : ACKNOWLEDGE_PATH);
    const served = openCall(
      request,
      response,
      handler === undefined ? undefined : telemetry,
      handler?.method,
    );
    if (handler === undefined) return answerRefusal(request, response, unknownMethod(request));
    const refusal = named === undefined ? findRefusal(request, handler) : refuseMethod(request, ["POST"]);
    if (refusal !== undefined) return answerRefusal(request, response, refusal);
    let call: UniversalServerRequest;
    try {
      call = universalRequestFromNodeRequest(request, response, undefined, undefined);
    } catch {
      return answerRefusal(request, response, {
        message: "The Host header is not a host name.",
        httpStatus: 400,
      });
    }
    cutDeadline(call.header, maxDeadlineMs);
    const bounded = handler.requestPath === ACKNOWLEDGE_PATH ? toBounded(call, named) : call;
    serveCall(served, () => withRequestText(() => handle(bounded, handler, response))).catch(
      (error: unknown) => {
        // Usually the caller has gone, so nothing more can be sent to it.
        const { requestId } = served;
        logger.debug({ err: error, requestId, method: handler.method.name }, "an answer could not be sent");
      },
    );
  };
}

/**
 * Gives a request its id and its place in a trace, and tells both in the answer: x-request-id, and traceresponse as
 * in https://w3c.github.io/trace-context/#trace-context-http-response-headers-format.
 */
function openCall(
  { headers }: NodeRequest,
  response: NodeResponse,
  telemetry: CallTelemetry | undefined,
  method: DescMethod | undefined,
): CurrentCall {
  const given = ofStranger(textOf(headers.traceparent), telemetry);
  const name = `${method?.parent.typeName}/${method?.name}`;
  const call: CurrentCall = {
    requestId: toRequestId(textOf(headers["x-request-id"])),
    ...startCallSpan(telemetry?.callTracer, { method: name, system: "connectrpc", given }),
  };
  // Connect answers most errors with a status of its own, which says as much as a span of the gateway needs.
  response.once("close", () => call.span?.end(response.statusCode < 400 ? undefined : response.statusCode));
  response.setHeader("x-request-id", call.requestId);
  response.setHeader("traceresponse", call.traceparent);
  return call;
}

/**
 * Clears the flag of a caller's traceparent if our sampler would not keep the trace. Nobody has authenticated the caller
 * yet, so it must not make us record more than the sampler's part of all calls.
 */
function ofStranger(given: string | undefined, telemetry: CallTelemetry | undefined): string | undefined {
  const parent = parseTraceparent(given);
  // While nobody gets our spans, the flag is for the caller and the endpoints alone.
  if (parent === undefined || telemetry?.callTracer === undefined) return given;
  const { traceId, parentId, sampled } = parent;
  return sampled && !telemetry.isSampled(traceId) ? `00-${traceId}-${parentId}-00` : given;
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}

async function handle(
  call: UniversalServerRequest,
  handler: UniversalHandler,
  response: NodeResponse,
): Promise<void> {
  await universalResponseToNodeResponse(await handler(call), response);
}

/** Nobody has authenticated the caller of this method, so little is read for it. */
function toBounded(call: UniversalServerRequest, named: NamedAttempt | undefined): UniversalServerRequest {
  return named === undefined ? limitBody(call) : toAcknowledgeCall(call, named);
}

function refuseMethod(request: NodeRequest, allowed: readonly string[]): Refusal | undefined {
  const method = request.method ?? "";
  if (allowed.includes(method)) return undefined;
  const message = `${printable(method)} is not allowed for this method; use ${allowed.join(" or ")}.`;
  return { message, httpStatus: 405, headers: { allow: allowed.join(", ") } };
}

function findRefusal(request: NodeRequest, handler: UniversalHandler): Refusal | undefined {
  if (handler.method.methodKind === "bidi_streaming" && request.httpVersionMajor < 2) {
    const message = "This method sends and receives at the same time, which needs HTTP/2.";
    // A client that waits for answers while it sends would otherwise wait for ever.
    return { message, httpStatus: 505, headers: { connection: "close" } };
  }
  const method = request.method ?? "";
  const contentType = request.headers["content-type"] ?? "";
  // Only Connect has calls by GET.
  const allowed = contentType.startsWith("application/grpc")
    ? ["POST"]
    : handler.allowedMethods.filter((each, index, all) => all.indexOf(each) === index);
  const wrongMethod = refuseMethod(request, allowed);
  if (wrongMethod !== undefined) return wrongMethod;
  if ((method === "GET" && contentType === "") || handler.supportedContentType(contentType)) {
    return method === "GET" ? findQueryProblem(request.url ?? "") : undefined;
  }
  const type = printable(contentType);
  return {
    message: `The content type "${type}" is not supported; use application/json, for example.`,
    httpStatus: 415,
  };
}

// The units in milliseconds. Connect would refuse a deadline above its maximum, and such a value would overflow its
// timer.
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

function cutDeadline(headers: Headers, maxMs: number): void {
  const [, amount, unit] = /^(\d{1,8})([HMSmun])$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
  if (Number(amount) * (UNITS[unit ?? ""] ?? 0) > maxMs) headers.set("grpc-timeout", `${maxMs}m`);
  const connect = headers.get("connect-timeout-ms") ?? "";
  if (/^\d{1,10}$/.test(connect) && Number(connect) > maxMs) headers.set("connect-timeout-ms", `${maxMs}`);
}
