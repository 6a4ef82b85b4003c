import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfig } from "./config.ts";

describe("the configuration of npm start", () => {
  test("has a default for every variable", () => {
    expect(readConfig({ PATH: "/bin" })).toEqual({
      port: 8080,
      dataDir: resolve(".easycron"),
      databaseUrl: undefined,
      rolePrefix: undefined,
      resetRolePasswords: "off",
      gatewayUrl: undefined,
      schedulerUrl: undefined,
      dispatcherUrl: undefined,
      redisUrl: undefined,
      demo: "on",
      schedulers: 1,
      dispatchers: 1,
      egressAllow: "127.0.0.0/8,::1/128",
      egressDeny: "",
      metricsListen: "",
      metricsByProject: "off",
      logLevel: "info",
      brokers: [],
      showsTraces: false,
      telemetryEnv: {},
      serviceEnv: { gateway: {}, scheduler: {}, dispatcher: {}, plugins: {} },
    });
  });

  test("reads every variable that the README names", () => {
    const config = readConfig({
      EASYCRON_PORT: "0",
      EASYCRON_DATA_DIR: "/data",
      DATABASE_URL: "postgresql://a:b@db.example:5432/easycron?sslmode=require",
      EASYCRON_DEMO: "off",
      EASYCRON_SCHEDULERS: "2",
      EASYCRON_DISPATCHERS: "3",
      EASYCRON_EGRESS_ALLOW: "10.0.0.0/8",
      EASYCRON_LOG_LEVEL: "debug",
      EASYCRON_SCHEDULER_TICK_MS: "100",
      EASYCRON_ROLE_PREFIX: "billing",
      EASYCRON_RESET_ROLE_PASSWORDS: "on",
      EASYCRON_SCHEDULER_DATABASE_URL: "postgres://s:p@h/d",
    });
    expect(config).toMatchObject({ rolePrefix: "billing", resetRolePasswords: "on" });
    expect(config).toMatchObject({ schedulerUrl: "postgres://s:p@h/d", dispatcherUrl: undefined });
    expect(config).toMatchObject({ port: 0, dataDir: "/data", demo: "off", schedulers: 2, dispatchers: 3 });
    expect(config).toMatchObject({ egressAllow: "10.0.0.0/8", logLevel: "debug" });
    expect(config.serviceEnv).toEqual({
      gateway: {},
      scheduler: { EASYCRON_SCHEDULER_TICK_MS: "100" },
      dispatcher: {},
      plugins: {},
    });
  });

  test("reads exactly the variables in the table of the README, and leaves those of customers alone", () => {
    const readme = readFileSync(join(import.meta.dirname, "README.md"), "utf8");
    const rows = readme.match(/^\| `[A-Z_`, ]+` \|/gm) ?? [];
    const listed = rows.flatMap((row) => row.match(/[A-Z_]+/g) ?? []);
    let known: string[] = [];
    try {
      readConfig({ EASYCRON_TYPO: "1" });
    } catch (error) {
      known = /npm start reads (.*)\.$/.exec(String(error))?.[1]?.split(", ") ?? [];
    }
    expect(known.length).toBeGreaterThan(5);
    expect(listed.sort()).toEqual(known.sort());
    const [, customers = ""] = readme.split("programs of your own read:");
    const names = customers.split("\n\n")[0]?.match(/EASYCRON_[A-Z_]+/g) ?? [];
    expect(names).toHaveLength(3);
    expect(() => readConfig(Object.fromEntries(names.map((name) => [name, "x"])))).not.toThrow();
  });

  test.each([
    ["EASYCRON_PORT", "65536"],
    ["EASYCRON_PORT", "8080x"],
    ["EASYCRON_DEMO", "no"],
    ["EASYCRON_ROLE_PREFIX", "pg_easycron"],
    ["EASYCRON_ROLE_PREFIX", "Easy-Cron"],
    ["EASYCRON_ROLE_PREFIX", "x".repeat(53)],
    ["EASYCRON_RESET_ROLE_PASSWORDS", "1"],
    ["EASYCRON_SCHEDULERS", "0"],
    ["EASYCRON_DISPATCHERS", "1.5"],
    ["EASYCRON_EGRESS_ALLOW", "everything"],
    ["EASYCRON_LOG_LEVEL", "loud"],
  ])("refuses %s=%s, and names both in one line", (variable, value) => {
    expect(() => readConfig({ [variable]: value })).toThrow(
      new RegExp(`^${variable} is "${value}"; it must be .*$`),
    );
  });

  test("refuses a bad DATABASE_URL without showing its password", () => {
    const url = "mysql://user:hunter2@host/db";
    expect(() => readConfig({ DATABASE_URL: url })).toThrow(
      /^DATABASE_URL is \(secret\); it must be postgres:/,
    );
  });

  test("refuses what the command line may not have, and a broker that the variables name already", () => {
    expect(readConfig({}, ["--with", "kafka"]).brokers).toEqual(["kafka"]);
    const env = { EASYCRON_PLUGINS_REDIS_URL: "redis://admin:hunter2@h", EASYCRON_TYPO: "1" };
    const read = () => readConfig(env, ["--with", "redis,mongo"]);
    expect(read).toThrow(
      /"mongo".*EASYCRON_PLUGINS_REDIS_URL is set, and --with redis .*EASYCRON_TYPO is set/,
    );
    expect(read).not.toThrow(/hunter2/);
    const { serviceEnv, brokers } = readConfig({ EASYCRON_PLUGINS_REDIS_URL: "redis://h" }, ["--with=kafka"]);
    expect(brokers).toEqual(["kafka"]);
    expect(serviceEnv.plugins).toEqual({ EASYCRON_PLUGINS_REDIS_URL: "redis://h" });
  });

  test("refuses a bad REDIS_URL, and the Redis of customers as the internal one, without showing a password", () => {
    expect(() => readConfig({ REDIS_URL: "http://x:hunter2@h" })).toThrow(
      /^REDIS_URL is \(secret\); it must be redis:/,
    );
    expect(() => readConfig({ REDIS_URL: "redis://h?family=6" })).toThrow(/^REDIS_URL is \(secret\)/);
    const own = (url: string) => ({ REDIS_URL: url, EASYCRON_PLUGINS_REDIS_URL: "redis://admin:hunter2@h" });
    expect(() => readConfig(own("redis://:hunter3@h:6379/1"))).toThrow(
      "REDIS_URL and EASYCRON_PLUGINS_REDIS_URL name the same server; the internal Redis must be another one than that " +
        "of customers.",
    );
    expect(readConfig(own("rediss://u:p@h:6380/3")).redisUrl).toBe("rediss://u:p@h:6380/3");
  });

  test("refuses unknown variables and those that the supervisor sets, all in one error", () => {
    const env = { EASYCRON_PROT: "1", EASYCRON_SCHEDULER_LISTEN: "x", EASYCRON_MASTER_KEY: "x" };
    expect(() => readConfig(env)).toThrow(
      /EASYCRON_PROT is set.*EASYCRON_SCHEDULER_LISTEN is set.*EASYCRON_MASTER_KEY/,
    );
  });
});
