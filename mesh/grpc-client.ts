import { isIP } from "node:net";
import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { parseHostPort } from "./config.ts";
import { callHeaders } from "./current-call.ts";
import { failure } from "./errors.ts";
import { MAX_MESSAGE_BYTES } from "./grpc-server.ts";
import { type GrpcMethod, toGrpcMethod } from "./grpc-service.ts";
import { fromStatus } from "./grpc-status.ts";
import { readMessages, writeMessage } from "./grpc-stream.ts";

/** Options of one call. */
export interface CallOptions {
  /** How long the call may take, in milliseconds. Default: the deadline of the client. */
  deadlineMs?: number | undefined;
  /** Cancels the call when it is aborted. */
  signal?: AbortSignal | undefined;
  /** The W3C traceparent to send. Default: that of the call that is being served, if there is one. */
  traceparent?: string | undefined;
  /** Called before a unary call fails of which nothing was sent, because there was no connection to any address. */
  onUnsent?: (() => void) | undefined;
}

/** A bidirectional stream. It has no deadline. */
export interface BidiStream<I, O> {
  /**
   * Sends a request. Resolves when flow control allows the next one. Rejects with the stream's error once the stream
   * has ended.
   */
  send(request: I): Promise<void>;
  /**
   * The answers of the server, until it ends the stream. Throws if the stream ends with an error. It can be iterated
   * once.
   */
  readonly responses: AsyncIterable<O>;
  /** Tells the server that no more requests follow. */
  end(): void;
  /** Cancels the stream. `responses` then throws CANCELLED. */
  cancel(): void;
}

type ClientMethod<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodBiDiStreaming<infer I, infer O>
      ? (options?: Omit<CallOptions, "deadlineMs">) => BidiStream<MessageInitShape<I>, MessageShape<O>>
      : never;

/** The methods of a service, by their local names. Every error is an EasyCronError. */
export type GrpcClient<D extends DescService> = {
  [K in keyof D["method"]]: ClientMethod<D["method"][K]>;
} & {
  /** Closes the channel. Calls in flight finish. */
  close(): void;
};

/** Where a client sends its calls, and how. */
export interface GrpcClientOptions {
  /** One or more `ip:port` of one family; or one `name:port`, all of whose addresses are used. */
  readonly addresses: readonly string[];
  /** How long a unary call may take, in milliseconds, unless its options say otherwise. */
  readonly deadlineMs: number;
}

/**
 * Creates a client that spreads its calls over the addresses in turn and reconnects after 100 ms to 1 s. A unary call
 * that fails with UNAVAILABLE is sent again, at most 4 times in all, if its method is safe to repeat: the proto gives
 * it the idempotency_level NO_SIDE_EFFECTS or IDEMPOTENT. It is not sent again if the handler's error says after which
 * time to try again.
 */
export function createGrpcClient<D extends DescService>(desc: D, options: GrpcClientOptions): GrpcClient<D> {
  return toClient(desc, openChannel(desc, options), options);
}

/** A client of a service, and one that asks the same servers whether they serve. */
export interface ClientWithHealth<D extends DescService> {
  readonly client: GrpcClient<D>;
  readonly health: GrpcClient<typeof Health>;
}

/**
 * Creates a client as `createGrpcClient` does, and one of grpc.health.v1.Health. They share their connections, so that
 * a check tells whether the connection works that the other calls use. To close one closes both.
 */
export function createGrpcClientWithHealth<D extends DescService>(
  desc: D,
  options: GrpcClientOptions,
): ClientWithHealth<D> {
  const channel = openChannel(desc, options);
  return { client: toClient(desc, channel, options), health: toClient(Health, channel, options, desc.name) };
}

function openChannel(desc: DescService, options: GrpcClientOptions): Client {
  return new Client(toTarget(options.addresses), credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify(toServiceConfig(desc)),
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.dns_min_time_between_resolutions_ms": 5_000,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.use_local_subchannel_pool": 1,
  });
}

/** `name` is the service that an error says does not answer. */
function toClient<D extends DescService>(
  desc: D,
  client: Client,
  options: GrpcClientOptions,
  name: string = desc.name,
): GrpcClient<D> {
  // Customers see this name in errors: "scheduler" and not the full name.
  const service = name.replace(/Service$/, "").toLowerCase();
  const part = { client, service, deadlineMs: options.deadlineMs };
  const methods = desc.methods.map((method) => [method.localName, toMethod(method, part)]);
  return { ...Object.fromEntries(methods), close: () => client.close() };
}

interface ClientPart {
  readonly client: Client;
  readonly service: string;
  readonly deadlineMs: number;
}

function toMethod(method: DescMethod, part: ClientPart): unknown {
  const definition = toGrpcMethod(method);
  if (method.methodKind === "unary") {
    return (request: object, options?: CallOptions) => callUnary(part, definition, request, options);
  }
  return (options?: CallOptions) => openStream(part, definition, options);
}

function callUnary(
  part: ClientPart,
  method: GrpcMethod,
  request: object,
  options: CallOptions = {},
): Promise<object> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(failure("CANCELLED"));
    const deadline = Date.now() + Math.min(options.deadlineMs ?? part.deadlineMs, MAX_DEADLINE_MS);
    const cancel = () => call.cancel();
    const done = (error: ServiceError | null, response?: object) => {
      options.signal?.removeEventListener("abort", cancel);
      if (error === null && response !== undefined) return resolve(response);
      if (!hasPeer(call, part.client)) options.onUnsent?.();
      reject(fromStatus(error ?? { code: 13, details: "no answer" }, part.service));
    };
    const { path, requestSerialize, responseDeserialize } = method;
    const metadata = toMetadata(options);
    const call = part.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      done,
    );
    options.signal?.addEventListener("abort", cancel);
  });
}

// A call that was given no connection has no peer: grpc-js then returns the client's target, or "unknown".
function hasPeer(call: { getPeer(): string }, client: Client): boolean {
  const peer = call.getPeer();
  return peer !== "unknown" && peer !== client.getChannel().getTarget();
}

function openStream(
  part: ClientPart,
  method: GrpcMethod,
  options: CallOptions = {},
): BidiStream<object, object> {
  const { path, requestSerialize, responseDeserialize } = method;
  const metadata = toMetadata(options);
  const stream: ClientDuplexStream<object, object> = part.client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    metadata,
  );
  let ended: { readonly error: unknown } | undefined;
  const cancel = () => stream.cancel();
  stream.once("error", (error: ServiceError) => {
    ended = { error: fromStatus(error, part.service) };
  });
  stream.once("status", () => {
    ended ??= { error: failure("SERVICE_UNAVAILABLE", { service: part.service }, { retryAfterMs: 1_000 }) };
    options.signal?.removeEventListener("abort", cancel);
  });
  options.signal?.addEventListener("abort", cancel);
  if (options.signal?.aborted) cancel();
  const reader = readMessages<object>(stream);
  async function* receive(): AsyncGenerator<object> {
    try {
      yield* reader.messages;
    } catch (error) {
      throw ended?.error ?? error;
    }
  }
  return {
    send: async (request) => {
      if (ended === undefined) await writeMessage(stream, request);
      if (ended !== undefined) throw ended.error;
    },
    responses: receive(),
    end: () => stream.end(),
    cancel,
  };
}

// A timer of more than 2^31-1 ms would fire at once.
const MAX_DEADLINE_MS = 86_400_000;

function toMetadata(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(callHeaders(options.traceparent))) metadata.set(name, value);
  return metadata;
}

function toTarget(addresses: readonly string[]): string {
  const families = new Set(addresses.map((address) => isIP(parseHostPort(address)?.host ?? "")));
  const [family] = families;
  if (families.size === 1 && family === 4) return `ipv4:${addresses.join(",")}`;
  if (families.size === 1 && family === 6) return `ipv6:${addresses.join(",")}`;
  if (addresses.length === 1) return `dns:///${addresses[0]}`;
  throw new Error(
    `Cannot call ${addresses.join(", ")}: several addresses must be IP addresses of one family.`,
  );
}

function toServiceConfig(desc: DescService): object {
  const name = desc.methods
    .filter(isSafeToRepeat)
    .map((method) => ({ service: desc.typeName, method: method.name }));
  const retryPolicy = {
    maxAttempts: 4,
    initialBackoff: "0.05s",
    maxBackoff: "0.5s",
    backoffMultiplier: 2,
    retryableStatusCodes: ["UNAVAILABLE"],
  };
  return {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: name.length === 0 ? [] : [{ name, retryPolicy }],
  };
}

function isSafeToRepeat({ methodKind, idempotency }: DescMethod): boolean {
  return methodKind === "unary" && idempotency !== IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}
