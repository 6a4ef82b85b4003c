import { afterEach, expect, test } from "vitest";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { AttemptOutcome } from "../gen/easycron/v1/trigger_pb.ts";
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

async function start(variables: NodeJS.ProcessEnv) {
  const service = await build({ ...env, ...variables });
  cleanUp.push(() => service.close());
  return { addresses: [`127.0.0.1:${service.port}`], deadlineMs: 2_000 };
}

const message = {
  triggerId: "trg_1",
  target: {
    kind: { case: "redis" as const, value: { destination: { case: "stream" as const, value: "s" } } },
  },
  guard: "trg_1",
  guardTtlMs: 1_000n,
};

async function connect(variables: NodeJS.ProcessEnv = {}) {
  const options = await start(variables);
  const health = createGrpcClient(Health, options);
  const plugins = createGrpcClient(PluginsService, options);
  cleanUp.push(health.close, plugins.close);
  return { health, plugins };
}

test("the plugins service serves without a plugin, offers none, and refuses every call for one", async () => {
  const { health, plugins } = await connect();
  expect((await health.check({ service: PluginsService.typeName })).status).toBe(ServingStatus.SERVING);
  expect((await plugins.describePlugins({})).offers).toEqual([]);
  const unavailable = {
    reason: "PLUGIN_NOT_AVAILABLE",
    message: "The Redis plugin is not available on this server; ask its operator to set it up.",
  };
  const kind = PluginKind.REDIS;
  await expect(plugins.deliver({ projectId: "proj_1", messages: [message] })).rejects.toMatchObject(
    unavailable,
  );
  await expect(plugins.provision({ kind, projectId: "proj_1" })).rejects.toMatchObject(unavailable);
  await expect(plugins.remove({ kind, projectId: "proj_1" })).rejects.toMatchObject(unavailable);
  await expect(plugins.measureUsage({ kind })).rejects.toMatchObject(unavailable);
});

test("the plugins service serves although its Redis is dead, and says so in its offer and in each outcome", async () => {
  const url = "redis://admin:secret@127.0.0.1:1";
  const { health, plugins } = await connect({
    EASYCRON_PLUGINS_REDIS_URL: url,
    EASYCRON_PLUGINS_REDIS_PUBLIC_ADDRESS: "redis.example.com:6380",
  });
  expect((await health.check({ service: PluginsService.typeName })).status).toBe(ServingStatus.SERVING);
  const [offer] = (await plugins.describePlugins({})).offers;
  expect(offer).toMatchObject({
    kind: PluginKind.REDIS,
    endpoint: "redis.example.com:6380",
    usesTls: false,
    defaultLimits: { maxBytes: 67_108_864n, maxKeys: 100_000n },
    maxLimits: { maxBytes: 1_073_741_824n, maxKeys: 10_000_000n },
    problem: "The managed Redis cannot be reached now.",
  });
  const { deliveries } = await plugins.deliver(
    { projectId: "proj_1", messages: [message] },
    { deadlineMs: 5_000 },
  );
  expect(deliveries).toMatchObject([
    {
      triggerId: "trg_1",
      outcome: AttemptOutcome.NOT_SENT,
      error: "The managed Redis cannot be reached now.",
    },
  ]);
  await expect(
    plugins.provision({ kind: PluginKind.REDIS, projectId: "proj_1" }, { deadlineMs: 5_000 }),
  ).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
});

test.each([
  "DATABASE_URL",
  "REDIS_URL",
  "EASYCRON_MASTER_KEY",
  "EASYCRON_PREVIOUS_MASTER_KEY",
  "EASYCRON_OPERATOR_KEY_HASH",
  "EASYCRON_GATEWAY_DATABASE_URL",
])("the plugins service does not start when %s is set, and does not show its value", async (name) => {
  const error = await build({ ...env, [name]: "hunter2" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toContain(`${name} is set`);
  expect((error as Error).message).not.toContain("hunter2");
});
