import { toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { TargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import { DEFAULT_RETRY_POLICY } from "./next-state.ts";
import { type Spec, type SpecRow, toSpec } from "./spec.ts";

const ofText = (spec: string): SpecRow => ({ job_uid: "job_1", revision: 1, spec });
const row = (change: Readonly<Record<string, unknown>>): SpecRow =>
  ofText(
    JSON.stringify({
      target: { webhook: { url: "https://example.com/a/b?c=d", method: "PUT", headers: { "X-One": "1" } } },
      retryPolicy: { maxAttempts: 3, minBackoff: "1.5s", maxBackoff: "60s", maxAge: "3600s" },
      attemptTimeout: "10s",
      payload: { a: 1 },
      ...change,
    }),
  );

/** Returns a plugin's target in its JSON form. */
const targetOf = ({ target }: Spec) =>
  target.kind === "plugin" ? toJson(TargetSchema, target.target) : undefined;

describe("a specification", () => {
  test("of a webhook is read from the form in which the scheduler writes it", () => {
    expect(toSpec(row({}))).toEqual({
      target: {
        kind: "webhook",
        origin: "https://example.com",
        path: "/a/b?c=d",
        method: "PUT",
        headers: ["x-one", "1"],
      },
      destination: "https://example.com",
      retryPolicy: {
        ...DEFAULT_RETRY_POLICY,
        maxAttempts: 3,
        minBackoffMs: 1_500,
        maxBackoffMs: 60_000,
        maxAgeMs: 3_600_000,
      },
      attemptTimeoutMs: 10_000,
      payload: '{"a":1}',
      waitsForEnd: false,
      isOrdered: false,
    });
  });

  test("says within how long a success is to be acknowledged; without a deadline it cannot be read", () => {
    expect(toSpec(row({ acknowledgement: { deadline: "90.5s" } })).acknowledgeWithinMs).toBe(90_500);
    expect(toSpec(row({ acknowledgement: {} })).target.kind).toBe("unreadable");
  });

  test("of a webhook has the statuses and pauses that the job names", () => {
    const spec = toSpec(
      row({
        target: { webhook: { url: "https://example.com/", successStatusCodes: ["202", "300-404"] } },
        retryPolicy: {
          delays: ["1s", "1.5s"],
          multiplier: 1.5,
          nonRetryableStatusCodes: [404],
          giveUpAtNextFireTime: true,
        },
      }),
    );
    expect(spec.target).toMatchObject({
      successStatuses: [
        [202, 202],
        [300, 404],
      ],
    });
    expect(spec.retryPolicy).toEqual({
      ...DEFAULT_RETRY_POLICY,
      delaysMs: [1_000, 1_500],
      multiplier: 1.5,
      nonRetryableStatusCodes: [404],
      giveUpAtNextFireTime: true,
    });
  });

  test("of Redis has all of its target, with the defaults filled in", () => {
    const spec = toSpec(row({ target: { redis: { stream: "s", maxLength: "7", ttl: "1.5s" } } }));
    expect(spec.destination).toBe("plugin redis");
    expect(spec.target).toMatchObject({ kind: "plugin", plugin: "redis", bytes: expect.any(Number) });
    expect(targetOf(spec)).toEqual({ redis: { stream: "s", maxLength: "7", ttl: "1.500s" } });
    const defaults = (redis: object) => targetOf(toSpec(row({ target: { redis } })));
    expect(defaults({ stream: "s" })).toEqual({ redis: { stream: "s", maxLength: "100000" } });
    expect(defaults({ list: "l" })).toEqual({ redis: { list: "l", maxLength: "100000" } });
    expect(defaults({ channel: "c" })).toEqual({ redis: { channel: "c" } });
    expect(defaults({ key: "k" })).toEqual({ redis: { key: "k" } });
  });

  test("of Kafka has all of its target, with the defaults filled in", () => {
    const kafka = {
      topic: "t",
      key: "{{job.name}}",
      headers: { team: "blue" },
      partitioning: "KAFKA_PARTITIONING_FIXED",
      partition: 3,
      contentMode: "KAFKA_CONTENT_MODE_STRUCTURED",
    };
    const spec = toSpec(row({ target: { kafka } }));
    expect(spec).toMatchObject({ destination: "plugin kafka", target: { plugin: "kafka" } });
    expect(targetOf(spec)).toEqual({ kafka });
    expect(targetOf(toSpec(row({ target: { kafka: { topic: "t" } } })))).toEqual({
      kafka: {
        topic: "t",
        key: "{{job.uid}}",
        partitioning: "KAFKA_PARTITIONING_BY_KEY",
        contentMode: "KAFKA_CONTENT_MODE_BINARY",
      },
    });
  });

  test("without policies gets the defaults, and without a payload gets null", () => {
    expect(
      toSpec(row({ retryPolicy: undefined, attemptTimeout: undefined, payload: undefined })),
    ).toMatchObject({
      retryPolicy: DEFAULT_RETRY_POLICY,
      attemptTimeoutMs: 30_000,
      payload: "null",
    });
  });

  test.each([
    ["no target", { target: null }],
    ["an unknown target", { target: { pigeon: {} } }],
    ["no destination in Redis", { target: { redis: { maxLength: "7" } } }],
    ["a length that is no number", { target: { redis: { stream: "s", maxLength: "much" } } }],
    ["a field of a newer version", { target: { kafka: { topic: "t", tomorrow: 1 } } }],
    ["no topic", { target: { kafka: { key: "k" } } }],
    ["an unknown partitioning", { target: { kafka: { topic: "t", partitioning: "BY_MOOD" } } }],
    ["no URL", { target: { webhook: {} } }],
    ["an invalid URL", { target: { webhook: { url: "nowhere" } } }],
    ["a URL of another scheme", { target: { webhook: { url: "file:///etc/passwd" } } }],
    ["a method that is not allowed", { target: { webhook: { url: "http://a/", method: "DELETE" } } }],
    ["an invalid duration", { attemptTimeout: "soon" }],
    ["an invalid policy", { retryPolicy: [] }],
    [
      "statuses that are no statuses",
      { target: { webhook: { url: "http://a/", successStatusCodes: ["2xx"] } } },
    ],
    ["delays that are no list", { retryPolicy: { delays: "5s" } }],
  ])("that cannot be read becomes unreadable and does not throw: %s", (_, change) => {
    expect(toSpec(row(change))).toMatchObject({
      target: { kind: "unreadable", problem: expect.any(String) },
      retryPolicy: DEFAULT_RETRY_POLICY,
    });
  });

  test.each(["not json", "", "null", "[]", '{"target":'])(
    "that is no JSON object becomes unreadable: %s",
    (text) => {
      expect(toSpec(ofText(text)).target.kind).toBe("unreadable");
    },
  );

  test("keeps the text of its payload exactly", () => {
    const payloadJson = String.raw`{"z":1E+308,"id":3889108265204451307,"0":-0.0,"nul":"\u0000","half":"\ud800","10":[1.0],"a":"é\n😀"}`;
    const target = { webhook: { url: "https://example.com/" } };
    expect(toSpec(ofText(JSON.stringify({ target, payloadJson, labels: {} }))).payload).toBe(payloadJson);
  });

  test("that an older version wrote has its payload as a value", () => {
    const payload = String.raw`{"z":1e+308,"nul":"\u0000","\u0000":0.1,"half":"\ud800","__proto__":[],"a":"é\n😀"}`;
    const target = JSON.stringify({ webhook: { url: "https://example.com/" } });
    expect(toSpec(ofText(`{"target":${target},"payload":${payload},"labels":{}}`)).payload).toBe(payload);
  });
});
