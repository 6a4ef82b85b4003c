import { describe, expect, test } from "vitest";
import { ConfigError } from "../mesh/config.ts";
import { readConfig } from "./config.ts";

const env = {
  EASYCRON_DISPATCHER_LISTEN: "127.0.0.1:0",
  DATABASE_URL: "postgres://u:p@127.0.0.1:5432/easycron",
  EASYCRON_MASTER_KEY: Buffer.alloc(32, 9).toString("base64"),
  EASYCRON_PLUGINS_ADDRESSES: "127.0.0.1:7001",
};

describe("the dispatcher's configuration", () => {
  test("has defaults for all variables except addresses, the database and the master key", () => {
    expect(readConfig(env)).toMatchObject({
      leaseMs: 5_000,
      deliveryConcurrency: 8_192,
      originConcurrency: 64,
      idleConnections: 1_024,
      databaseConnections: 8,
      egressAllow: [],
      masterKey: Buffer.alloc(32, 9),
    });
  });

  test("is refused with every problem in one error, and the error contains no secret", () => {
    const bad = { ...env, EASYCRON_MASTER_KEY: "c2hvcnQ=", EASYCRON_DISPATCHER_LEASE_MS: "1" };
    expect(() => readConfig(bad)).toThrow(ConfigError);
    expect(() => readConfig(bad)).toThrow(
      /EASYCRON_MASTER_KEY is \(secret\).*EASYCRON_DISPATCHER_LEASE_MS is "1"/,
    );
    expect(() => readConfig(bad)).not.toThrow(/c2hvcnQ/);
  });

  test("has the URL of the internal Redis, or is refused if it is none", () => {
    expect(readConfig(env).redisUrl).toBeUndefined();
    const url = "rediss://user:p%40ss@redis.internal:6380/2";
    expect(readConfig({ ...env, REDIS_URL: url }).redisUrl).toBe(url);
    for (const bad of ["redis.internal:6379", "http://h", "redis://h/x", "redis://h?db=1", "redis://"]) {
      expect(() => readConfig({ ...env, REDIS_URL: bad })).toThrow(
        "REDIS_URL is (secret); it must be redis://user:password@host:port/0 or rediss://…",
      );
    }
  });

  test("is refused if it has an EASYCRON_ variable that is unknown", () => {
    expect(() => readConfig({ ...env, EASYCRON_DISPATCHER_LEASE: "1" })).toThrow(
      /EASYCRON_DISPATCHER_LEASE /,
    );
  });
});
