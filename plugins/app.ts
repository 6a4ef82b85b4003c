import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { createGrpcServer } from "../mesh/grpc-server.ts";
import type { Service } from "../mesh/lifecycle.ts";
import { createLogger } from "../mesh/logger.ts";
import { readConfig } from "./config.ts";
import { createPluginsService } from "./plugins-service.ts";

const CLOSE_GRACE_MS = 3_000;

/** Starts the plugins service and returns it when it serves. Throws a ConfigError when a variable is not valid. */
export async function build(env: NodeJS.ProcessEnv): Promise<Service> {
  const config = readConfig(env);
  const logger = createLogger("plugins", env);
  const server = createGrpcServer({ logger });
  server.add(PluginsService, createPluginsService());
  const port = await server.listen(config.listen);
  server.setServing(true);
  logger.info({ port }, "serving");
  return { port, close: () => server.close(CLOSE_GRACE_MS) };
}
