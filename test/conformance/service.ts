import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
  type ConformancePayloadSchema,
  type ConformanceService,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type Error as TestError,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

type Payload = MessageInitShape<typeof ConformancePayloadSchema>;
type RequestInfo = MessageInitShape<typeof ConformancePayload_RequestInfoSchema>;

/** The service of the Connect conformance suite: each request says how it is to be answered. */
export const conformanceService: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: async (request, context) => ({
    payload: await answerOnce(request.responseDefinition, context, [anyPack(UnaryRequestSchema, request)]),
  }),

  idempotentUnary: async (request, context) => ({
    payload: await answerOnce(request.responseDefinition, context, [
      anyPack(IdempotentUnaryRequestSchema, request),
    ]),
  }),

  clientStream: async (requests, context) => {
    let definition: UnaryResponseDefinition | undefined;
    const received: Any[] = [];
    for await (const request of requests) {
      if (received.length === 0) definition = request.responseDefinition;
      received.push(anyPack(ClientStreamRequestSchema, request));
    }
    return { payload: await answerOnce(definition, context, received) };
  },

  async *serverStream(request, context) {
    const info = toRequestInfo(context, [anyPack(ServerStreamRequestSchema, request)]);
    for await (const payload of answerAll(request.responseDefinition, context, info)) yield { payload };
  },

  async *bidiStream(requests, context) {
    let definition: StreamResponseDefinition | undefined;
    let isFullDuplex = false;
    let sent = 0;
    const received: Any[] = [];
    for await (const request of requests) {
      if (received.length === 0) {
        definition = request.responseDefinition;
        isFullDuplex = request.fullDuplex;
        sendMetadata(context, definition);
      }
      const any = anyPack(BidiStreamRequestSchema, request);
      received.push(any);
      if (!isFullDuplex) continue;
      const data = definition?.responseData[sent];
      if (data === undefined) break;
      await sleep(definition?.responseDelayMs ?? 0);
      yield {
        payload: { data, requestInfo: sent === 0 ? toRequestInfo(context, received) : { requests: [any] } },
      };
      sent += 1;
    }
    const info = toRequestInfo(context, received);
    for await (const payload of answerRest(definition, info, sent)) yield { payload };
  },
};

async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  context: HandlerContext,
  received: Any[],
): Promise<Payload> {
  const requestInfo = toRequestInfo(context, received);
  sendMetadata(context, definition);
  await sleep(definition?.responseDelayMs ?? 0);
  const response = definition?.response;
  if (response?.case === "error") throw toConnectError(response.value, requestInfo);
  return { requestInfo, ...(response?.case === "responseData" && { data: response.value }) };
}

function answerAll(
  definition: StreamResponseDefinition | undefined,
  context: HandlerContext,
  info: RequestInfo,
): AsyncIterable<Payload> {
  sendMetadata(context, definition);
  return answerRest(definition, info, 0);
}

/** Sends the answers from number `sent` on, and then the error. Only the very first thing sent has `info`. */
async function* answerRest(
  definition: StreamResponseDefinition | undefined,
  info: RequestInfo,
  sent: number,
): AsyncGenerator<Payload> {
  if (definition === undefined) return;
  for (const [index, data] of definition.responseData.entries()) {
    if (index < sent) continue;
    await sleep(definition.responseDelayMs);
    yield { data, ...(index === 0 && { requestInfo: info }) };
  }
  if (definition.error === undefined) return;
  throw toConnectError(definition.error, definition.responseData.length === 0 ? info : undefined);
}

function sendMetadata(
  context: HandlerContext,
  definition: UnaryResponseDefinition | StreamResponseDefinition | undefined,
): void {
  const add = (target: Headers, headers: readonly Header[] = []) => {
    for (const { name, value } of headers) for (const each of value) target.append(name, each);
  };
  add(context.responseHeader, definition?.responseHeaders);
  add(context.responseTrailer, definition?.responseTrailers);
}

function toRequestInfo(context: HandlerContext, requests: Any[]): RequestInfo {
  const timeoutMs = context.timeoutMs();
  return {
    requestHeaders: toHeaders(context.requestHeader),
    requests,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.trunc(timeoutMs)) }),
    ...(context.requestMethod === "GET" && {
      connectGetInfo: { queryParams: toHeaders(new URL(context.url).searchParams) },
    }),
  };
}

function toHeaders(entries: Iterable<[string, string]>): { name: string; value: string[] }[] {
  return [...entries].map(([name, value]) => ({ name, value: [value] }));
}

function toConnectError({ code, message, details }: TestError, info: RequestInfo | undefined): ConnectError {
  const error = new ConnectError(message ?? "", code as Code);
  error.details = details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  if (info !== undefined) error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: info });
  return error;
}
