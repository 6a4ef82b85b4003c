import { create, fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema as Value, type ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import type { RedisTargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import { parseAllowList } from "../../mesh/egress-address.ts";
import type { EasyCronError } from "../../mesh/errors.ts";
import { changedJobErrors, newJobErrors } from "./job-rules.ts";
import { MAX_PAYLOAD_BYTES, payloadErrors } from "./payload-rules.ts";

const rules = { allow: parseAllowList(""), plugins: { redis: { state: "ENABLED", isUsable: true } } };
type JobInit = Extract<MessageInitShape<typeof JobSchema>, { $typeName?: never }>;

const webhook = (url: string, headers: Record<string, string> = {}): JobInit["target"] => ({
  kind: { case: "webhook", value: { url, headers } },
});
const good: JobInit = { name: "payroll", target: webhook("https://hooks.acme.io/", { "X-Team": "a" }) };

const redis = (value: MessageInitShape<typeof RedisTargetSchema>): JobInit["target"] => ({
  kind: { case: "redis", value },
});

/** The reason and field of the first error; undefined when there is none. */
function refusal(judge: () => EasyCronError[]): readonly [string, string | undefined] | undefined {
  const [error] = judge();
  return error && [error.reason, error.violations[0]?.field];
}
const refusalOf = (change: JobInit) =>
  refusal(() => newJobErrors(create(JobSchema, { ...good, ...change }), rules));

describe("a new job", () => {
  test("that follows the rules is accepted", () => {
    expect(refusalOf({})).toBeUndefined();
    expect(
      refusalOf({
        target: { kind: { case: "redis", value: { destination: { case: "stream", value: "a" } } } },
      }),
    ).toBeUndefined();
  });

  test.each<[string, JobInit, string, string]>([
    ["without a name", { name: "" }, "FIELD_INVALID", "job.name"],
    ["with an empty target", { target: {} }, "FIELD_INVALID", "job.target"],
    ["with a URL that is none", { target: webhook("acme.io") }, "URL_INVALID", "job.target.webhook.url"],
    [
      "with a private address",
      { target: webhook("http://10.0.0.1/") },
      "TARGET_FORBIDDEN",
      "job.target.webhook.url",
    ],
    [
      "with a reserved header",
      { target: webhook("https://acme.io/", { "Webhook-Id": "1" }) },
      "HEADER_RESERVED",
      'job.target.webhook.headers["Webhook-Id"]',
    ],
    [
      "with a header twice",
      { target: webhook("https://acme.io/", { "x-a": "1", "X-A": "2" }) },
      "FIELD_INVALID",
      'job.target.webhook.headers["X-A"]',
    ],
    [
      "for a plugin that is not enabled",
      { target: { kind: { case: "kafka", value: { topic: "a" } } } },
      "PLUGIN_NOT_ENABLED",
      "job.target.kafka",
    ],
    [
      "with a Redis name among the customer's own keys",
      { target: redis({ destination: { case: "stream", value: "app:a" } }) },
      "FIELD_INVALID",
      "job.target.redis.stream",
    ],
    [
      "with a length of a key",
      { target: redis({ destination: { case: "key", value: "a" }, maxLength: 5n }) },
      "FIELD_INVALID",
      "job.target.redis.maxLength",
    ],
    [
      "with a stream that expires",
      { target: redis({ destination: { case: "stream", value: "a" }, ttl: { seconds: 5n } }) },
      "FIELD_INVALID",
      "job.target.redis.ttl",
    ],
    [
      "with a payload that is too large",
      { payload: { kind: { case: "stringValue", value: "x".repeat(MAX_PAYLOAD_BYTES) } } },
      "FIELD_INVALID",
      "job.payload",
    ],
  ])("%s is refused", (_, change, reason, field) => {
    expect(refusalOf(change)).toEqual([reason, field]);
  });

  test("that is missing, or has no target, is refused", () => {
    expect(refusal(() => newJobErrors(undefined, rules))).toEqual(["FIELD_INVALID", "job"]);
    expect(refusal(() => newJobErrors(create(JobSchema, { name: "a" }), rules))).toEqual([
      "FIELD_INVALID",
      "job.target",
    ]);
  });
});

describe("a job for a plugin", () => {
  const target = redis({ destination: { case: "stream", value: "a" } });
  const under = (state: string, isUsable: boolean) =>
    newJobErrors(create(JobSchema, { ...good, target }), {
      allow: rules.allow,
      plugins: { redis: { state, isUsable } },
    });

  test.each(["PROVISIONING", "DISABLING", "DISABLED", "FAILED"])(
    "that is %s is refused, and told so",
    (state) => {
      const [error] = under(state, false);
      expect(error?.reason).toBe("PLUGIN_NOT_ENABLED");
      expect(error?.message).toContain(`is ${state}, not ENABLED`);
    },
  );

  test("that is set up again after it was ENABLED is accepted", () => {
    expect(under("PROVISIONING", true)).toEqual([]);
  });
});

describe("an update", () => {
  const changed = create(JobSchema, { name: "payroll", target: webhook("http://10.0.0.1/") });

  test("is checked only in the fields that it writes", () => {
    expect(refusal(() => changedJobErrors(changed, ["labels"], rules))).toBeUndefined();
    for (const paths of [[], ["target"], ["*"], ["labels", "target"]]) {
      expect(refusal(() => changedJobErrors(changed, paths, rules))?.[0]).toBe("TARGET_FORBIDDEN");
    }
  });

  test("needs a name, and must not remove the target", () => {
    expect(refusal(() => changedJobErrors(create(JobSchema), [], rules))).toEqual([
      "FIELD_INVALID",
      "job.name",
    ]);
    const bare = create(JobSchema, { name: "payroll" });
    expect(refusal(() => changedJobErrors(bare, [], rules))).toBeUndefined();
    expect(refusal(() => changedJobErrors(bare, ["target"], rules))).toEqual(["FIELD_INVALID", "job.target"]);
  });
});

describe("a payload", () => {
  const check = (init: MessageInitShape<typeof ValueSchema>) =>
    refusal(() => payloadErrors({ payload: create(Value, init) }, "payload"));

  test("may be as large as the limit, counted in bytes of JSON", () => {
    const text = (length: number, character = "x") => character.repeat(length);
    expect(check({ kind: { case: "stringValue", value: text(MAX_PAYLOAD_BYTES - 2) } })).toBeUndefined();
    expect(check({ kind: { case: "stringValue", value: text(MAX_PAYLOAD_BYTES - 1) } })).toBeDefined();
    expect(check({ kind: { case: "stringValue", value: text(MAX_PAYLOAD_BYTES / 2, "ü") } })).toBeDefined();
  });

  test("may be nested 30 deep", () => {
    const nested = (depth: number) =>
      fromJson(Value, JSON.parse(`${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`));
    expect(refusal(() => payloadErrors({ payload: nested(30) }, "payload"))).toBeUndefined();
    expect(refusal(() => payloadErrors({ payload: nested(31) }, "payload"))).toEqual([
      "FIELD_INVALID",
      "payload",
    ]);
  });

  test("must be a value that JSON can express", () => {
    expect(check({ kind: { case: "nullValue", value: 0 } })).toBeUndefined();
    expect(check({ kind: { case: "numberValue", value: Number.NaN } })).toEqual(["FIELD_INVALID", "payload"]);
    expect(check({})).toEqual(["FIELD_INVALID", "payload"]);
  });
});
