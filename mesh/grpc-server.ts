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
import type { Logger } from "./logger.ts";

/** Largest message either way. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** A gRPC server inside the mesh; it always serves grpc.health.v1.Health, too. */
export interface GrpcServer {
  /** Serves a service; before `listen`. */
  add<D extends DescService>(desc: D, implementation: ServiceImplementation<D>): void;
  /** What the health service says from now on; NOT_SERVING at first. */
  setServing(serving: boolean): void;
  /** Listens on `host:port` (port 0: any free one) and returns the port. Throws when that is not possible. */
  listen(address: string): Promise<number>;
  /**
   * Says NOT_SERVING, takes no new calls, ends the requests of open streams and lets what runs finish; after
   * `graceMs` cuts what is left.
   */
  close(graceMs: number): Promise<void>;
}

/** Makes a server. INTERNAL errors of handlers are logged under the id that the caller gets. */
export function createGrpcServer(options: { readonly logger: Logger }): GrpcServer {
  // grpc-js writes to stderr what it also reports; a service that cannot start says so in one line of its own.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  });
  const parts: CallParts = { logger: options.logger, enders: new Set() };
  const health = createHealth();

  const add: GrpcServer["add"] = (desc, implementation) => {
    const definition: Record<string, GrpcMethod> = {};
    const handlers: UntypedServiceImplementation = {};
    for (const method of desc.methods) {
      // Handlers give bytes, so that a message which cannot be encoded is caught and logged like any other fault.
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
    close: async (graceMs) => {
      health.setServing(false);
      for (const end of parts.enders) end();
      const force = setTimeout(() => server.forceShutdown(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(force);
    },
  };
}

function serve(method: DescMethod, implementation: object, parts: CallParts): UntypedHandleCall {
  // ServiceImplementation has said that each method has a handler of its kind.
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
