import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";

/** What a handler knows about the call besides the request. */
export interface CallContext {
  /**
   * Aborted when the caller has gone or the deadline has passed; nobody reads the answer then. The signal of a server
   * stream is also aborted when the server closes.
   */
  readonly signal: AbortSignal;
  /** The milliseconds left now, at least 0. Undefined if the caller set no deadline. */
  readonly deadlineMs: number | undefined;
  /** The W3C traceparent of this call. A new one if the caller sent none. */
  readonly traceparent: string;
}

type Handler<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodBiDiStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            context: CallContext,
          ) => AsyncIterable<MessageInitShape<O>>
        : never;

/**
 * The handlers of a service, one for each method, by its local name. An error that a handler throws is converted by
 * `toStatus`. The requests of a stream end when the client ends them or the server closes; the handler then finishes
 * what it has received.
 */
export type ServiceImplementation<D extends DescService> = {
  [K in keyof D["method"]]: Handler<D["method"][K]>;
};

/** A method in the form of grpc-js. It takes init objects, sends bytes and returns messages. */
export type GrpcMethod = MethodDefinition<object, object>;

/** Converts the descriptor of a method for grpc-js. Client and server use the same definition. */
export function toGrpcMethod(method: DescMethod): GrpcMethod {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: deserializer(method.input),
    responseSerialize: serializer(method.output),
    responseDeserialize: deserializer(method.output),
  };
}

function serializer(desc: DescMessage): (value: object) => Buffer {
  return (value) => {
    const bytes = toBinary(desc, create(desc, value as MessageInitShape<DescMessage>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

// Twice the default. Inner messages wrap the customer's message, so they are nested deeper than what the gateway
// accepts.
const RECURSION_LIMIT = 200;

function deserializer(desc: DescMessage): (bytes: Buffer) => object {
  return (bytes) => fromBinary(desc, bytes, { recursionLimit: RECURSION_LIMIT });
}
