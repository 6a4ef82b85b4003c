import { describe, expect, test } from "vitest";
import { ConfigError } from "../mesh/config.ts";
import { readConfig } from "./config.ts";

const LISTEN = { EASYCRON_PLUGINS_LISTEN: "127.0.0.1:0" };

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig({ ...LISTEN, ...env });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("the configuration of the plugins service", () => {
  test("has no plugin unless one is set up", () => {
    expect(readConfig(LISTEN)).toMatchObject({ redisUrl: undefined, kafkaBrokers: undefined });
  });

  test("accepts both brokers", () => {
    const config = readConfig({
      ...LISTEN,
      EASYCRON_PLUGINS_REDIS_URL: "rediss://admin:p%40ss@redis.internal:6380",
      EASYCRON_PLUGINS_REDIS_PUBLIC_ADDRESS: "redis.example.com:6380",
      EASYCRON_PLUGINS_KAFKA_BROKERS: "10.0.0.1:9092,10.0.0.2:9092",
      EASYCRON_PLUGINS_KAFKA_USERNAME: "admin",
      EASYCRON_PLUGINS_KAFKA_PASSWORD: "secret",
      EASYCRON_PLUGINS_KAFKA_PUBLIC_ADDRESS: "k1.example.com:9092, k2.example.com:9092",
    });
    expect(config).toMatchObject({
      redisUrl: "rediss://admin:p%40ss@redis.internal:6380",
      redisPublicAddress: "redis.example.com:6380",
      kafkaBrokers: ["10.0.0.1:9092", "10.0.0.2:9092"],
      kafkaPublicAddress: "k1.example.com:9092,k2.example.com:9092",
    });
  });

  test("names every wrong variable, and shows no secret", () => {
    const problems = problemsOf({
      EASYCRON_PLUGINS_REDIS_URL: "http://admin:hunter2@h",
      EASYCRON_PLUGINS_REDIS_PUBLIC_ADDRESS: "redis.example.com",
      EASYCRON_PLUGINS_REDIS_CONNECTIONS: "0",
      EASYCRON_PLUGINS_REDIS_COLOUR: "red",
    });
    expect(problems).toEqual([
      expect.stringContaining("EASYCRON_PLUGINS_REDIS_COLOUR is set, and nothing reads it"),
      "EASYCRON_PLUGINS_REDIS_URL is (secret); it must be redis://user:password@host:port or rediss://…, of an administrator, without a database or options.",
      'EASYCRON_PLUGINS_REDIS_PUBLIC_ADDRESS is "redis.example.com"; it must be host:port, or several separated by commas.',
      'EASYCRON_PLUGINS_REDIS_CONNECTIONS is "0"; it must be a whole number from 1 to 64.',
    ]);
  });

  test.each(["/1", "/?db=1", "?enableOfflineQueue=true", "#x"])("has no Redis URL that ends in %s", (end) => {
    expect(problemsOf({ EASYCRON_PLUGINS_REDIS_URL: `redis://admin:hunter2@h:1${end}` })).toEqual([
      expect.stringContaining("without a database or options"),
    ]);
    expect(problemsOf({ EASYCRON_PLUGINS_REDIS_URL: "redis://admin:hunter2@h:1/0" })).toEqual([]);
  });

  test("has no default above its maximum, and no Kafka without a login", () => {
    const problems = problemsOf({
      EASYCRON_PLUGINS_REDIS_DEFAULT_BYTES: "2000",
      EASYCRON_PLUGINS_REDIS_MAX_BYTES: "1000",
      EASYCRON_PLUGINS_KAFKA_BROKERS: "h:1",
    });
    expect(problems).toEqual([
      "EASYCRON_PLUGINS_REDIS_DEFAULT_BYTES is 2000; it must not be more than EASYCRON_PLUGINS_REDIS_MAX_BYTES, which is 1000.",
      "EASYCRON_PLUGINS_KAFKA_USERNAME and EASYCRON_PLUGINS_KAFKA_PASSWORD must be set, because EASYCRON_PLUGINS_KAFKA_BROKERS is set.",
    ]);
  });
});
