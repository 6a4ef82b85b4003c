import { expect, test } from "vitest";
import { ConfigError } from "./config.ts";
import { createLogger } from "./logger.ts";

function logged(env: NodeJS.ProcessEnv, write: (logger: ReturnType<typeof createLogger>) => void) {
  const lines: string[] = [];
  write(createLogger("gateway", env, { write: (line) => lines.push(line) }));
  return lines;
}

test("writes JSON lines under the service's name", () => {
  const [line] = logged({}, (logger) => logger.info({ port: 1 }, "serving"));
  expect(JSON.parse(line ?? "")).toMatchObject({ name: "gateway", level: 30, port: 1, msg: "serving" });
});

test("blacks out what is named like a secret", () => {
  const fields = {
    secret: "a-hunter2",
    headers: { authorization: "b-hunter2" },
    a: { b: { apiKey: "c-hunter2" } },
  };
  const [line] = logged({}, (logger) => logger.warn(fields, "x"));
  expect(line).not.toContain("hunter2");
  expect(line).toContain("[secret]");
});

test("leaves out the arguments of a failed Redis command, and keeps its name", () => {
  const error = (password: string) =>
    Object.assign(new Error("WRONGPASS"), { command: { name: "auth", args: ["admin", password] } });
  const args = ["admin", "d-hunter2"];
  const direct = Object.assign(new Error("WRONGPASS"), { command: { name: "auth", args } });
  const nested = Object.assign(new Error("no node"), { lastNodeError: error("e-hunter2") });
  const several = new AggregateError([error("f-hunter2")]);
  const lines = logged({}, (logger) => {
    for (const err of [direct, nested, several, "text"]) logger.warn({ err }, "x");
  });
  expect(lines).toHaveLength(4);
  expect(lines.join("")).not.toContain("hunter2");
  expect(JSON.parse(lines[0] ?? "").err).toMatchObject({ message: "WRONGPASS", command: { name: "auth" } });
  expect(args).toEqual(["admin", "d-hunter2"]);
});

test("is silent below its level", () => {
  expect(logged({ EASYCRON_LOG_LEVEL: "error" }, (logger) => logger.info({}, "x"))).toEqual([]);
  expect(() => createLogger("gateway", { EASYCRON_LOG_LEVEL: "loud" })).toThrow(ConfigError);
});
