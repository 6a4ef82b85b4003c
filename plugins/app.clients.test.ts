import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** Starts and stops the service in a process of its own, and prints which of the brokers' clients it has loaded. */
const PROGRAM = `
  import { registerHooks } from "node:module";
  const clients = new Set();
  registerHooks({
    resolve: (name, context, next) => {
      if (["ioredis", "kafkajs", "@platformatic/kafka"].includes(name)) clients.add(name);
      return next(name, context);
    },
  });
  const { build } = await import("./plugins/app.ts");
  const service = await build(process.env);
  await service.close();
  console.log([...clients].sort().join(" "));
`;

test.each([
  ["no client", {}, ""],
  ["the client of Redis", { EASYCRON_PLUGINS_REDIS_URL: "redis://127.0.0.1:1" }, "ioredis"],
  [
    "the clients of Kafka",
    {
      EASYCRON_PLUGINS_KAFKA_BROKERS: "127.0.0.1:1",
      EASYCRON_PLUGINS_KAFKA_USERNAME: "admin",
      EASYCRON_PLUGINS_KAFKA_PASSWORD: "secret",
    },
    "@platformatic/kafka kafkajs",
  ],
])("the plugins service loads %s when only that is set up", async (_name, variables, clients) => {
  const env = {
    PATH: process.env.PATH,
    EASYCRON_PLUGINS_LISTEN: "127.0.0.1:0",
    EASYCRON_LOG_LEVEL: "silent",
    ...variables,
  };
  const program = ["--input-type=module", "--eval", PROGRAM];
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root, env });
  expect(stdout.trim()).toBe(clients);
});
