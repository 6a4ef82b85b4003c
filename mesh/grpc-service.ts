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

/** What a handler knows of the call beside the request. */
export interface CallContext {
  /**
   * Aborted when the caller went away or the deadline has passed: nobody hears the answer then. That of a server
   * stream is also aborted when the server closes.
   */
  readonly signal: AbortSignal;
  /** Milliseconds left now, 0 at the least; undefined when the caller set no deadline. */
  readonly deadlineMs: number | undefined;
  /** W3C traceparent of this call; a new one if the caller sent none. */
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
 * Handlers of a service, one for each method, by its local name. What a handler throws is sent through `toStatus`.
 * The requests of a stream end when the client ends them or the server closes; finish what was received then.
 */
export type ServiceImplementation<D extends DescService> = {
  [K in keyof D["method"]]: Handler<D["method"][K]>;
};

/** A method as grpc-js wants it: init objects in, bytes on the wire, messages out. */
export type GrpcMethod = MethodDefinition<object, object>;

/** Translates a method's description for grpc-js; the same definition serves both sides. */
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

// Twice the default: what was let in at the edge must not be too deep for the wrapping that the mesh adds.
const RECURSION_LIMIT = 200;

function deserializer(desc: DescMessage): (bytes: Buffer) => object {
  return (bytes) => fromBinary(desc, bytes, { recursionLimit: RECURSION_LIMIT });
}
