import { describe, expect, test } from "vitest";
import { ConfigError } from "../mesh/config.ts";
import { readConfig } from "./config.ts";

const env = {
  EASYCRON_SCHEDULER_LISTEN: "127.0.0.1:0",
  DATABASE_URL: "postgres://u:p@127.0.0.1:5432/easycron",
  EASYCRON_DISPATCHER_ADDRESSES: "127.0.0.1:7001,127.0.0.1:7002",
};

describe("the scheduler's configuration", () => {
  test("has defaults for everything but addresses and the database", () => {
    expect(readConfig(env)).toMatchObject({ lookAheadMs: 5_000, tickMs: 250, databaseConnections: 8 });
  });

  test("names every problem at once, and never a secret", () => {
    const bad = { ...env, DATABASE_URL: "mysql://secret", EASYCRON_SCHEDULER_TICK_MS: "0" };
    expect(() => readConfig(bad)).toThrow(ConfigError);
    expect(() => readConfig(bad)).toThrow(/DATABASE_URL.*EASYCRON_SCHEDULER_TICK_MS is "0"/);
    expect(() => readConfig(bad)).not.toThrow(/mysql/);
  });

  test("has the URL of the internal Redis, or is refused if it is none", () => {
    expect(readConfig({ ...env, REDIS_URL: "redis://h" }).redisUrl).toBe("redis://h");
    expect(() => readConfig({ ...env, REDIS_URL: "h:6379" })).toThrow(/^REDIS_URL is \(secret\)/);
  });

  test("refuses an unknown variable", () => {
    expect(() => readConfig({ ...env, EASYCRON_SCHEDULER_TICKS: "1" })).toThrow(/EASYCRON_SCHEDULER_TICKS/);
  });
});
