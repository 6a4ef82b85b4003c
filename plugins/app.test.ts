import { afterEach, expect, test } from "vitest";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health_pb.ts";
import { ConfigError } from "../mesh/config.ts";
import { createGrpcClient } from "../mesh/grpc-client.ts";
import { build } from "./app.ts";

const env = { EASYCRON_PLUGINS_LISTEN: "127.0.0.1:0", EASYCRON_LOG_LEVEL: "silent" };

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start() {
  const service = await build(env);
  cleanUp.push(() => service.close());
  return { addresses: [`127.0.0.1:${service.port}`], deadlineMs: 2_000 };
}

test("the plugins service serves, and refuses to deliver because no plugin exists yet", async () => {
  const options = await start();
  const health = createGrpcClient(Health, options);
  const plugins = createGrpcClient(PluginsService, options);
  cleanUp.push(health.close, plugins.close);
  expect((await health.check({ service: PluginsService.typeName })).status).toBe(ServingStatus.SERVING);
  await expect(plugins.deliver({ projectId: "proj_1" })).rejects.toMatchObject({
    reason: "METHOD_UNIMPLEMENTED",
    message: "This server has no method PluginsService/Deliver; check its name.",
  });
});

test.each(["DATABASE_URL", "EASYCRON_MASTER_KEY", "EASYCRON_OPERATOR_KEY_HASH"])(
  "the plugins service does not start when %s is set, and does not show its value",
  async (name) => {
    const error = await build({ ...env, [name]: "hunter2" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toContain(`${name} is set`);
    expect((error as Error).message).not.toContain("hunter2");
  },
);
