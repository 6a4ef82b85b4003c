import { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import { createGrpcServer, type GrpcServer } from "../../mesh/grpc-server.ts";
import type { ServiceImplementation } from "../../mesh/grpc-service.ts";
import { createLogger } from "../../mesh/logger.ts";

/** How a fake dispatcher answers batches. */
export type Accept = ServiceImplementation<typeof DispatcherService>["accept"];

/** A gRPC server that stands for a dispatcher, with a health service. */
export interface FakeDispatcher {
  readonly address: string;
  readonly server: GrpcServer;
  /** Breaks every call and stops listening. */
  stop(): Promise<void>;
}

/** Starts one that serves. */
export async function startFakeDispatcher(accept: Accept, address = "127.0.0.1:0"): Promise<FakeDispatcher> {
  const server = createGrpcServer({ logger: createLogger("test", { EASYCRON_LOG_LEVEL: "silent" }) });
  server.add(DispatcherService, { accept } as ServiceImplementation<typeof DispatcherService>);
  const port = await server.listen(address);
  server.setServing(true);
  return { address: `127.0.0.1:${port}`, server, stop: () => server.close(0) };
}
