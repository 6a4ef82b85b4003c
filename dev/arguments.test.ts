import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";

describe("the arguments of npm start", () => {
  test.each([
    [[], []],
    [["--with", "redis"], ["redis"]],
    [
      ["--with", "kafka,redis"],
      ["redis", "kafka"],
    ],
    [["--with=kafka"], ["kafka"]],
    [
      ["--with", "kafka", "--with", "redis,kafka"],
      ["redis", "kafka"],
    ],
  ])("%j start the brokers %j", (args, brokers) => {
    expect(readArguments(args)).toEqual({ brokers, showsTraces: false, problems: [] });
  });

  test("--telemetry shows traces, with brokers or without", () => {
    expect(readArguments(["--telemetry"])).toMatchObject({ showsTraces: true, brokers: [], problems: [] });
    const both = readArguments(["--with", "redis", "--telemetry"]);
    expect(both).toMatchObject({ showsTraces: true, brokers: ["redis"], problems: [] });
  });

  test.each([
    [["--with", "mongo"], /^--with names "mongo"; npm start accepts --with redis,kafka/],
    [["--with", "redis,rabbit,Kafka"], /^--with names "rabbit", "Kafka";/],
    [["--with"], /^--with names "";/],
    [["--with="], /^--with names "";/],
    [["--wiht", "redis"], /^"--wiht" is not an argument of npm start; npm start accepts --with redis,kafka/],
    [["redis\n"], /^"redis\\u000a" is not an argument/],
  ])("%j are refused, with what is accepted", (args, problem) => {
    expect(readArguments(args).problems[0]).toMatch(problem);
  });
});
