import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  addressList,
  ConfigError,
  databaseUrl,
  findUnknown,
  integer,
  listenAddress,
  milliseconds,
  oneOf,
  parseHostPort,
  readEnv,
} from "./config.ts";

const spec = {
  listen: listenAddress("EASYCRON_GATEWAY_LISTEN", { default: "127.0.0.1:8080" }),
  database: databaseUrl("DATABASE_URL"),
  scheduler: addressList("EASYCRON_SCHEDULER_ADDRESSES"),
  tickMs: milliseconds("EASYCRON_GATEWAY_TICK_MS", { min: 10, max: 1_000, default: 200 }),
  level: oneOf("EASYCRON_LOG_LEVEL", ["debug", "info"], { default: "info" }),
};
const good = {
  DATABASE_URL: "postgres://u:hunter2@h:5432/d",
  EASYCRON_SCHEDULER_ADDRESSES: "10.0.0.1:1, 10.0.0.2:2",
};

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readEnv(env, spec, findUnknown(env, { room: "gateway", spec }));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe("reading the environment", () => {
  test("gives a frozen object with defaults filled in", () => {
    const values = readEnv({ ...good, EASYCRON_GATEWAY_TICK_MS: "10", EASYCRON_LOG_LEVEL: "" }, spec);
    expect(values).toEqual({
      listen: "127.0.0.1:8080",
      database: good.DATABASE_URL,
      scheduler: ["10.0.0.1:1", "10.0.0.2:2"],
      tickMs: 10,
      level: "info",
    });
    expect(Object.isFrozen(values)).toBe(true);
  });

  test("names the variable, the value and the accepted values of every problem, in one error", () => {
    expect(problemsOf({ EASYCRON_GATEWAY_TICK_MS: "5\n", EASYCRON_GATEWAY_LISTEN: "8080" })).toEqual([
      'EASYCRON_GATEWAY_LISTEN is "8080"; it must be host:port, such as 127.0.0.1:8080.',
      "DATABASE_URL is not set; it must be postgres://user:password@host:port/database.",
      "EASYCRON_SCHEDULER_ADDRESSES is not set; it must be host:port, or several ip:port of one family separated by commas.",
      'EASYCRON_GATEWAY_TICK_MS is "5\\u000a"; it must be whole milliseconds from 10 to 1000.',
    ]);
  });

  test("never shows a secret", () => {
    const problems = problemsOf({ ...good, DATABASE_URL: "hunter2@h" });
    expect(problems).toEqual([
      "DATABASE_URL is (secret); it must be postgres://user:password@host:port/database.",
    ]);
  });

  test("refuses a variable that nothing reads, but not a variable of another service", () => {
    const env = { ...good, EASYCRON_SCHEDULER_TICK_MS: "1", EASYCRON_EGRESS_ALLOW: "", OTHER: "1" };
    expect(problemsOf(env)).toEqual([]);
    const [problem, second] = problemsOf({ ...env, EASYCRON_GATEWAY_LISTN: "x", DATABASE_URL: "" });
    expect(second).toMatch(/^DATABASE_URL is not set/);
    expect(problem).toMatch(
      /^EASYCRON_GATEWAY_LISTN is set, and nothing reads it; the gateway reads EASYCRON_/,
    );
  });

  test("lets every service have each variable that is not of one service only", () => {
    const rooms = ["gateway", "scheduler", "dispatcher", "plugins"];
    const own = new RegExp(`^EASYCRON_(${rooms.join("|")})_`.toUpperCase());
    const names = rooms
      .flatMap((room) => readFileSync(new URL(`../${room}/config.ts`, import.meta.url), "utf8"))
      .flatMap((text) => text.match(/(?<=")EASYCRON_[A-Z_]+(?=")/g) ?? [])
      .filter((name) => !own.test(name) || /_ADDRESSES$/.test(name));
    expect(names).toContain("EASYCRON_EGRESS_DENY");
    const env = Object.fromEntries(names.map((name) => [name, "x"]));
    const unknown = rooms.flatMap((room) => findUnknown(env, { room, spec: {} }));
    expect(unknown).toEqual([]);
  });
});

test.each([
  ["0", 0],
  ["-7", -7],
  ["10", 10],
  ["11", undefined],
  ["1e1", undefined],
  ["0x1", undefined],
  ["1.0", undefined],
  [" 1", undefined],
  ["9".repeat(20), undefined],
])("the setting of a whole number turns %j into %j", (text, value) => {
  expect(integer("X", { min: -10, max: 10 }).parse(text)).toBe(value);
});

test.each([
  ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
  ["[::1]:0", { host: "::1", port: 0 }],
  ["gateway:1", { host: "gateway", port: 1 }],
  ["::1:80", undefined],
  ["a:65536", undefined],
  ["a", undefined],
  [":1", undefined],
  ["http://a:1", undefined],
])("the setting of a listening address turns %j into %j", (text, value) => {
  expect(parseHostPort(text)).toEqual(value);
});

test.each([
  ["a:1", true],
  ["10.0.0.1:1,10.0.0.2:1", true],
  ["[::1]:1,[::2]:1", true],
  ["a:1,b:1", false],
  ["10.0.0.1:1,[::1]:1", false],
  ["10.0.0.1:0", false],
  ["10.0.0.1:1,", false],
])("the setting of addresses to call accepts %j: %j", (text, usable) => {
  expect(addressList("X").parse(text) !== undefined).toBe(usable);
});
