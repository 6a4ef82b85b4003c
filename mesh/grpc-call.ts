import type { EventEmitter } from "node:events";
import { create, type DescMethod, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Tracer } from "@opentelemetry/api";
import { type CallTrace, startCallSpan } from "./call-span.ts";
import { serveCall, toRequestId } from "./current-call.ts";
import { failure } from "./errors.ts";
import type { CallContext } from "./grpc-service.ts";
import { encodeStatusDetails, toStatus } from "./grpc-status.ts";
import { readMessages, writeMessage } from "./grpc-stream.ts";
import { toLoggedError } from "./logged-error.ts";
import type { Logger } from "./logger.ts";
import { newTraceparent, parseTraceparent } from "./trace.ts";

type UnaryCall = ServerUnaryCall<object, Buffer>;
type Duplex = ServerDuplexStream<object, Buffer>;
type Writable = ServerWritableStream<object, Buffer>;
type Call = UnaryCall | Duplex | Writable;
type Init = MessageInitShape<DescMethod["output"]>;

/** What all calls of a server share. */
export interface CallParts {
  readonly logger: Logger;
  /** Makes the spans of unary calls; absent when nobody gets them. */
  readonly tracer?: Tracer | undefined;
  /** One function for each open stream, which ends it. A server that closes calls them all. */
  readonly enders: Set<() => void>;
}

/** Turns the handler of a unary method into one for grpc-js. */
export function serveUnary(
  method: DescMethod,
  handler: (request: object, context: CallContext) => Promise<Init>,
  parts: CallParts,
): (call: UnaryCall, done: sendUnaryData<Buffer>) => void {
  return (call, done) => {
    const { context, finish } = openCall(call);
    const requestId = toRequestId(firstOf(call, "x-request-id"));
    const { traceparent, span } = traceCall(call, method, parts, context.traceparent);
    Object.assign(context, { traceparent });
    const answer = async () => {
      try {
        done(null, encode(method, await handler(call.request, context)));
        span?.end();
      } catch (error) {
        done(toServiceError(error, method, parts));
        span?.end(error);
      }
    };
    void serveCall({ requestId, traceparent, span }, answer).finally(finish);
  };
}

/** Turns the handler of a server-streaming method into one for grpc-js. */
export function serveServerStream(
  method: DescMethod,
  handler: (request: object, context: CallContext) => AsyncIterable<Init>,
  parts: CallParts,
): (call: Writable) => void {
  return (call) => {
    const { context, abort, finish } = openCall(call);
    parts.enders.add(abort);
    void sendAll(call, method, () => handler(call.request, context), parts).finally(() => {
      parts.enders.delete(abort);
      finish();
    });
  };
}

/** Turns the handler of a bidirectional method into one for grpc-js. */
export function serveBidiStream(
  method: DescMethod,
  handler: (requests: AsyncIterable<object>, context: CallContext) => AsyncIterable<Init>,
  parts: CallParts,
): (call: Duplex) => void {
  return (call) => {
    const { context, finish } = openCall(call);
    const reader = readMessages<object>(call);
    parts.enders.add(reader.stop);
    void sendAll(call, method, () => handler(untilCancelled(call, reader.messages), context), parts).finally(
      () => {
        parts.enders.delete(reader.stop);
        finish();
      },
    );
  };
}

async function* untilCancelled(call: Duplex, requests: AsyncIterable<object>): AsyncGenerator<object> {
  yield* requests;
  // Node ends a stream that is reset in the same way as one that is finished. A moment later `cancelled` shows which
  // it was.
  await new Promise((resolve) => setImmediate(resolve));
  if (call.cancelled) throw failure("CANCELLED");
}

async function sendAll(
  call: Duplex | Writable,
  method: DescMethod,
  respond: () => AsyncIterable<Init>,
  parts: CallParts,
): Promise<void> {
  try {
    for await (const response of respond()) {
      await writeMessage(call, encode(method, response));
      if (call.cancelled) break;
    }
    call.end();
  } catch (error) {
    call.emit("error", toServiceError(error, method, parts));
  }
}

interface OpenCall {
  readonly context: CallContext;
  readonly abort: () => void;
  readonly finish: () => void;
}

function openCall(call: Call): OpenCall {
  const controller = new AbortController();
  const abort = () => controller.abort(failure("CANCELLED"));
  const events: EventEmitter = call;
  events.once("cancelled", abort);
  // A write after the peer has gone emits "error". The handler knows it already, from the signal.
  events.on("error", () => {});
  const deadline = call.getDeadline();
  const given = firstOf(call, "traceparent");
  const context: CallContext = {
    signal: controller.signal,
    get deadlineMs() {
      return deadline === Number.POSITIVE_INFINITY ? undefined : Math.max(0, Number(deadline) - Date.now());
    },
    traceparent: given !== undefined && parseTraceparent(given) ? given : newTraceparent(),
  };
  return { context, abort, finish: () => events.off("cancelled", abort) };
}

function traceCall(call: Call, method: DescMethod, { tracer }: CallParts, traceparent: string): CallTrace {
  if (tracer === undefined) return { traceparent, span: undefined };
  const given = firstOf(call, "traceparent");
  return startCallSpan(tracer, { method: `${method.parent.typeName}/${method.name}`, system: "grpc", given });
}

function firstOf({ metadata }: Call, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}

function encode(method: DescMethod, message: Init): Buffer {
  const bytes = toBinary(method.output, create(method.output, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toServiceError(error: unknown, method: DescMethod, parts: CallParts) {
  const known = toLoggedError(error, parts.logger, method.name);
  const sent = toStatus(known);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", encodeStatusDetails(sent));
  // The error tells its caller when to try again. If the client's channel tried again at once, each call would wait
  // several times as long for what is short, such as a lock or a database connection.
  if (known.retryAfterMs !== undefined) metadata.set("grpc-retry-pushback-ms", "-1");
  return Object.assign(new Error(sent.message), { code: sent.code, details: sent.message, metadata });
}
