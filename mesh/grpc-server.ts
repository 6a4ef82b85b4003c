import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { type CallParts, serveBidiStream, serveServerStream, serveUnary } from "./grpc-call.ts";
import { createHealth } from "./grpc-health.ts";
import { type GrpcMethod, type ServiceImplementation, toGrpcMethod } from "./grpc-service.ts";

/** The largest message that is sent or received. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** A gRPC server for calls between our services. It always serves grpc.health.v1.Health too. */
export interface GrpcServer {
  /** Adds a service. Call it before `listen`. */
  add<D extends DescService>(desc: D, implementation: ServiceImplementation<D>): void;
  /** Sets what the health service reports from now on. It is NOT_SERVING at first. */
  setServing(serving: boolean): void;
  /** Listens on `host:port` and returns the port. Port 0 means any free port. Throws if it cannot listen. */
  listen(address: string): Promise<number>;
  /**
   * Reports NOT_SERVING, accepts no new calls, ends the requests of open streams and lets running calls finish. After
   * `graceMs`, or when `hurry` is aborted, it breaks the calls that are left.
   */
  close(graceMs: number, hurry?: AbortSignal): Promise<void>;
}

/** Creates a server. A tracer gets a span of each unary call. It logs each INTERNAL error of a handler with the error id that the caller gets. */
export function createGrpcServer(options: Pick<CallParts, "logger" | "tracer">): GrpcServer {
  // grpc-js also writes errors that it reports to stderr. A service that cannot start writes one line itself.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  const parts: CallParts = { ...options, enders: new Set() };
  const health = createHealth();

  const add: GrpcServer["add"] = (desc, implementation) => {
    const definition: Record<string, GrpcMethod> = {};
    const handlers: UntypedServiceImplementation = {};
    for (const method of desc.methods) {
      // Handlers return bytes, so that a message that cannot be encoded is caught and logged like any other error.
      definition[method.localName] = {
        ...toGrpcMethod(method),
        responseSerialize: (bytes) => bytes as Buffer,
      };
      handlers[method.localName] = serve(method, implementation, parts);
    }
    server.addService(definition, handlers);
    health.addService(desc.typeName);
  };
  add(Health, health.implementation);

  return {
    add,
    setServing: health.setServing,
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
          error === null ? resolve(port) : reject(new Error(`Cannot listen on ${address}: ${error.message}`)),
        );
      }),
    close: async (graceMs, hurry) => {
      health.setServing(false);
      for (const end of parts.enders) end();
      const breakAll = () => server.forceShutdown();
      const force = setTimeout(breakAll, graceMs);
      hurry?.addEventListener("abort", breakAll, { once: true });
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(force);
    },
  };
}

function serve(method: DescMethod, implementation: object, parts: CallParts): UntypedHandleCall {
  // The type ServiceImplementation guarantees that each method has a handler of its kind.
  const handler = (implementation as Record<string, never>)[method.localName] as never;
  switch (method.methodKind) {
    case "unary":
      return serveUnary(method, handler, parts) as UntypedHandleCall;
    case "server_streaming":
      return serveServerStream(method, handler, parts) as UntypedHandleCall;
    case "bidi_streaming":
      return serveBidiStream(method, handler, parts) as UntypedHandleCall;
    default:
      throw new Error(`${method.parent.typeName}/${method.name}: client streaming is not supported.`);
  }
}
