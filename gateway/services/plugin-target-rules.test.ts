import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { KafkaPartitioning, KafkaTargetSchema, RedisTargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import type { EasyCronError } from "../../mesh/errors.ts";
import { kafkaTargetErrors, redisTargetErrors } from "./plugin-target-rules.ts";

const told = (errors: readonly EasyCronError[]) =>
  errors.map(({ reason, violations }) => [reason, violations[0]?.field]);
const redis = (init: MessageInitShape<typeof RedisTargetSchema>) =>
  told(redisTargetErrors(create(RedisTargetSchema, init), "t"));
const kafka = (init: MessageInitShape<typeof KafkaTargetSchema>) =>
  told(kafkaTargetErrors(create(KafkaTargetSchema, { topic: "a", ...init }), "t"));

describe("a Redis target", () => {
  test.each(["stream", "list", "channel", "key"] as const)("%s must not begin with app:", (place) => {
    expect(redis({ destination: { case: place, value: "app:x" } })).toEqual([
      ["FIELD_INVALID", `t.${place}`],
    ]);
    expect(redis({ destination: { case: place, value: "x:app:" } })).toEqual([]);
  });

  test.each([
    ["stream", []],
    ["list", []],
    ["channel", [["FIELD_INVALID", "t.maxLength"]]],
    ["key", [["FIELD_INVALID", "t.maxLength"]]],
  ] as const)("%s with a maximum length is told of what does not fit", (place, expected) => {
    expect(redis({ destination: { case: place, value: "x" }, maxLength: 10n })).toEqual(expected);
  });

  test.each([
    ["stream", [["FIELD_INVALID", "t.ttl"]]],
    ["list", [["FIELD_INVALID", "t.ttl"]]],
    ["channel", [["FIELD_INVALID", "t.ttl"]]],
    ["key", []],
  ] as const)("%s with a time to live is told of what does not fit", (place, expected) => {
    expect(redis({ destination: { case: place, value: "x" }, ttl: { seconds: 1n } })).toEqual(expected);
  });
});

describe("a Kafka target", () => {
  test.each([
    ["", true],
    ["plain { text }", true],
    ["{{job.name}}-{{job.uid}}-{{trigger.id}}-{{fire_time}}", true],
    ["{{job.nam}}", false],
    ["{{ job.name }}", false],
    ["{{}}", false],
    ["{{job.name}}{{x\ny}}", false],
  ])("with the key %j is accepted: %s", (key, isAccepted) => {
    expect(kafka({ key })).toEqual(isAccepted ? [] : [["FIELD_INVALID", "t.key"]]);
  });

  test.each(["ce_id", "CE_type", "webhook-id", "Webhook-Signature", "content-type", "Content-Type"])(
    "must not set the header %s",
    (header) => {
      expect(kafka({ headers: { [header]: "x", "x-own": "y", ce: "z" } })).toEqual([
        ["HEADER_RESERVED", `t.headers["${header}"]`],
      ]);
    },
  );

  test("names a partition exactly if it is fixed", () => {
    const { FIXED, BY_KEY, ROUND_ROBIN } = KafkaPartitioning;
    expect(kafka({ partitioning: FIXED, partition: 0 })).toEqual([]);
    expect(kafka({ partitioning: FIXED })).toEqual([["FIELD_INVALID", "t.partition"]]);
    for (const partitioning of [BY_KEY, ROUND_ROBIN, KafkaPartitioning.UNSPECIFIED])
      expect(kafka({ partitioning, partition: 0 })).toEqual([["FIELD_INVALID", "t.partition"]]);
  });
});
